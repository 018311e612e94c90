import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  type KeyObject,
  pbkdf2Sync,
  timingSafeEqual,
} from 'node:crypto';
import * as asn1 from 'asn1js';

/**
 * PKCS#12 (RFC 7292), which Node does not read. Loaded when such a file is named. It knows nothing of this program: its
 * errors are plain, with a `code`, and whoever calls translates them.
 */

export interface Pkcs12 {
  readonly keys: readonly KeyObject[];
  /** DER. */
  readonly certificates: readonly Buffer[];
}

export type Pkcs12Problem = 'INVALID' | 'PASSWORD_MISSING' | 'PASSWORD_WRONG' | 'ENCRYPTION_UNSUPPORTED';

export class Pkcs12Error extends Error {
  readonly code: Pkcs12Problem;

  constructor(code: Pkcs12Problem) {
    super('a PKCS#12 file cannot be read');
    this.name = 'Pkcs12Error';
    this.code = code;
  }
}

/** Bounds of what a file may make us do: as many as OpenSSL takes by default, a hundred times over. */
const iterationsMax = 1_000_000;
const bagsMax = 100;

const oid = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certificateBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  pbeWith3Des: '1.2.840.113549.1.12.1.3',
} as const;

const hashes: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

const ciphers: Readonly<Record<string, readonly [name: string, keyBytes: number]>> = {
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32],
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24],
};

/** @throws Pkcs12Error */
export function openPkcs12(bytes: Buffer, password: Buffer | undefined): Pkcs12 {
  try {
    return opened(bytes, password ?? Buffer.alloc(0));
  } catch (error) {
    if (!(error instanceof Pkcs12Error)) throw new Pkcs12Error('INVALID');
    const isMissing = error.code === 'PASSWORD_WRONG' && password === undefined;
    throw isMissing ? new Pkcs12Error('PASSWORD_MISSING') : error;
  }
}

function opened(bytes: Buffer, password: Buffer): Pkcs12 {
  const [, safe, mac] = members(parsed(bytes));
  const content = octets(contentOf(members(safe), oid.data));
  // Without a MAC it would be under a signature, which nobody writes.
  if (mac === undefined) throw new Pkcs12Error('INVALID');
  checkMac(members(mac), content, password);

  const keys: KeyObject[] = [];
  const certificates: Buffer[] = [];
  for (const each of members(parsed(content))) {
    const bags = members(parsed(safeContents(members(each), password)));
    if (bags.length > bagsMax) throw new Pkcs12Error('INVALID');
    for (const bag of bags) {
      const [type, wrapped] = members(bag);
      const [value] = members(wrapped);
      const kind = identifier(type);
      if (kind === oid.keyBag) keys.push(privateKey(der(value)));
      if (kind === oid.shroudedKeyBag) keys.push(privateKey(der(value), password));
      if (kind === oid.certificateBag) certificates.push(...certificateIn(members(value)));
    }
  }
  return { keys, certificates };
}

function certificateIn([type, wrapped]: readonly asn1.AsnType[]): Buffer[] {
  return identifier(type) === oid.x509Certificate ? [octets(members(wrapped)[0])] : [];
}

function privateKey(key: Buffer, passphrase?: Buffer): KeyObject {
  try {
    const encoded = { key, format: 'der', type: 'pkcs8' } as const;
    return createPrivateKey(passphrase === undefined ? encoded : { ...encoded, passphrase });
  } catch {
    // The password is right: the MAC said so.
    throw new Pkcs12Error('ENCRYPTION_UNSUPPORTED');
  }
}

/** RFC 7292, 4: in clear, or under the password. */
function safeContents(info: readonly asn1.AsnType[], password: Buffer): Buffer {
  const [type] = info;
  if (identifier(type) === oid.data) return octets(contentOf(info, oid.data));
  const [, encrypted] = members(contentOf(info, oid.encryptedData));
  const [, algorithm, content] = members(encrypted);
  return decrypted(members(algorithm), octets(content), password);
}

function decrypted(algorithm: readonly asn1.AsnType[], bytes: Buffer, password: Buffer): Buffer {
  const [type, parameters] = algorithm;
  const { cipher, key, iv } = keyOf(identifier(type), members(parameters), password);
  const decipher = createDecipheriv(cipher, key, iv);
  try {
    return Buffer.concat([decipher.update(bytes), decipher.final()]);
  } finally {
    key.fill(0);
  }
}

interface ContentKey {
  readonly cipher: string;
  readonly key: Buffer;
  readonly iv: Buffer;
}

function keyOf(algorithm: string, parameters: readonly asn1.AsnType[], password: Buffer): ContentKey {
  if (algorithm === oid.pbeWith3Des) {
    const [salt, iterations] = [octets(parameters[0]), rounds(parameters[1])];
    const derive = (purpose: number, length: number) =>
      derivedKey({ hash: 'sha1', password, salt, iterations, purpose, length });
    return { cipher: 'des-ede3-cbc', key: derive(1, 24), iv: derive(2, 8) };
  }
  // RC2 with 40 bits, the default of old, is not in OpenSSL any more.
  if (algorithm !== oid.pbes2) throw new Pkcs12Error('ENCRYPTION_UNSUPPORTED');
  const [derivation, encryption] = parameters.map(members);
  const [kdf, kdfParameters] = derivation ?? [];
  const [scheme, iv] = encryption ?? [];
  const [cipher, keyBytes] = ciphers[identifier(scheme)] ?? [];
  if (identifier(kdf) !== oid.pbkdf2 || cipher === undefined || keyBytes === undefined) {
    throw new Pkcs12Error('ENCRYPTION_UNSUPPORTED');
  }
  const [salt, iterations, ...rest] = members(kdfParameters);
  const prf = rest.find((each) => each instanceof asn1.Sequence);
  const hash = prf === undefined ? 'sha1' : hashes[identifier(members(prf)[0])];
  if (hash === undefined) throw new Pkcs12Error('ENCRYPTION_UNSUPPORTED');
  const key = pbkdf2Sync(password, octets(salt), rounds(iterations), keyBytes, hash);
  return { cipher, key, iv: octets(iv) };
}

function checkMac(
  [info, salt, iterations]: readonly asn1.AsnType[],
  content: Buffer,
  password: Buffer,
): void {
  const [algorithm, digest] = members(info);
  const hash = hashes[identifier(members(algorithm)[0])];
  if (hash === undefined) throw new Pkcs12Error('ENCRYPTION_UNSUPPORTED');
  const length = createHash(hash).digest().length;
  const times = iterations === undefined ? 1 : rounds(iterations);
  const key = derivedKey({ hash, password, salt: octets(salt), iterations: times, purpose: 3, length });
  const calculated = createHmac(hash, key).update(content).digest();
  const stated = octets(digest);
  const isRight = stated.length === calculated.length && timingSafeEqual(stated, calculated);
  if (!isRight) throw new Pkcs12Error('PASSWORD_WRONG');
}

/** RFC 7292, B.2; `purpose` is its ID: 1 a key, 2 an IV, 3 a MAC's key. */
function derivedKey(wanted: {
  hash: string;
  password: Buffer;
  salt: Buffer;
  iterations: number;
  purpose: number;
  length: number;
}): Buffer {
  const { hash, salt, iterations, purpose, length } = wanted;
  const blockBytes = hash === 'sha384' || hash === 'sha512' ? 128 : 64;
  const password = bmpString(wanted.password);
  const diversifier = Buffer.alloc(blockBytes, purpose);
  const input = Buffer.concat([repeated(salt, blockBytes), repeated(password, blockBytes)]);
  const parts: Buffer[] = [];
  for (let filled = 0; filled < length; ) {
    let digest = createHash(hash).update(diversifier).update(input).digest();
    for (let round = 1; round < iterations; round += 1) digest = createHash(hash).update(digest).digest();
    parts.push(digest);
    filled += digest.length;
    addToBlocks(input, repeated(digest, blockBytes).subarray(0, blockBytes), blockBytes);
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** Adds `addend` + 1 to each block, as big-endian numbers without their carry. */
function addToBlocks(blocks: Buffer, addend: Buffer, blockBytes: number): void {
  for (let start = 0; start < blocks.length; start += blockBytes) {
    let carry = 1;
    for (let index = blockBytes - 1; index >= 0; index -= 1) {
      carry += (blocks[start + index] ?? 0) + (addend[index] ?? 0);
      blocks[start + index] = carry & 0xff;
      carry >>= 8;
    }
  }
}

/** The bytes again and again, to a whole number of blocks. */
function repeated(bytes: Buffer, blockBytes: number): Buffer {
  if (bytes.length === 0) return bytes;
  const length = blockBytes * Math.ceil(bytes.length / blockBytes);
  return Buffer.alloc(length, bytes);
}

/** Big-endian UTF-16 with a zero at its end. */
function bmpString(utf8: Buffer): Buffer {
  return Buffer.from(`${utf8.toString('utf8')}\0`, 'utf16le').swap16();
}

function rounds(integer: asn1.AsnType | undefined): number {
  const count = integer instanceof asn1.Integer ? integer.valueBlock.valueDec : 0;
  if (count < 1 || count > iterationsMax) throw new Pkcs12Error('INVALID');
  return count;
}

function parsed(bytes: Buffer): asn1.AsnType {
  const { offset, result } = asn1.fromBER(bytes);
  if (offset === -1) throw new Pkcs12Error('INVALID');
  return result;
}

/** What a SEQUENCE, SET or explicit tag holds. */
function members(block: asn1.AsnType | undefined): readonly asn1.AsnType[] {
  if (block instanceof asn1.Constructed) return block.valueBlock.value;
  throw new Pkcs12Error('INVALID');
}

/** The content of a ContentInfo that must be of this type. */
function contentOf([type, wrapped]: readonly asn1.AsnType[], wanted: string): asn1.AsnType | undefined {
  if (identifier(type) !== wanted) throw new Pkcs12Error('ENCRYPTION_UNSUPPORTED');
  return members(wrapped)[0];
}

function identifier(block: asn1.AsnType | undefined): string {
  if (block instanceof asn1.ObjectIdentifier) return block.getValue();
  throw new Pkcs12Error('INVALID');
}

/** Of an OCTET STRING, in one piece or several, or of an implicit tag in its place. */
function octets(block: asn1.AsnType | undefined): Buffer {
  if (block instanceof asn1.OctetString) return Buffer.from(block.getValue());
  if (block instanceof asn1.Primitive) return Buffer.from(block.valueBlock.valueHexView);
  if (block instanceof asn1.Constructed)
    return Buffer.concat(block.valueBlock.value.map((each) => octets(each)));
  throw new Pkcs12Error('INVALID');
}

function der(block: asn1.AsnType | undefined): Buffer {
  if (block === undefined) throw new Pkcs12Error('INVALID');
  return Buffer.from(block.toBER(false));
}
