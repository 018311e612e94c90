import { hash, verify, X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import { uriAttributes } from './token-uri.ts';

/**
 * Keys and certificates in a PKCS#11 token: a smart card, an HSM, SoftHSM. Loaded when a `pkcs11:` URI (RFC 7512) is
 * named, and with it `pkcs11js`, an optional dependency with compiled code. It knows nothing of this program: its
 * errors are plain, with a `code`, and whoever calls translates them.
 */

export type Pkcs11Problem = 'UNAVAILABLE' | 'URI_INVALID' | 'NOT_FOUND' | 'PIN_REFUSED' | 'FAILED';

export class Pkcs11Error extends Error {
  readonly code: Pkcs11Problem;

  constructor(code: Pkcs11Problem, cause?: unknown) {
    super('a PKCS#11 token cannot be used', cause === undefined ? undefined : { cause });
    this.name = 'Pkcs11Error';
    this.code = code;
  }
}

type Handle = Buffer;
type Template = readonly { readonly type: number; readonly value?: number | string | boolean | Buffer }[];

/** What is used of pkcs11js; its own types are not there where it could not be compiled. */
interface Native {
  load(path: string): void;
  close(): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(isPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): {
    label: string;
    serialNumber: string;
    manufacturerID: string;
    model: string;
  };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_Login(session: Handle, userType: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: Template): void;
  C_FindObjects(session: Handle, objectsMax: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: Template): { readonly value: Buffer }[];
  C_SignInit(session: Handle, mechanism: { mechanism: number }, key: Handle): void;
  C_Sign(session: Handle, bytes: Buffer, signature: Buffer): Buffer;
}

interface Binding {
  readonly PKCS11: new () => Native;
  readonly CKA_CLASS: number;
  readonly CKA_ID: number;
  readonly CKA_KEY_TYPE: number;
  readonly CKA_LABEL: number;
  readonly CKA_VALUE: number;
  readonly CKF_SERIAL_SESSION: number;
  readonly CKK_RSA: number;
  readonly CKM_ECDSA: number;
  readonly CKM_RSA_PKCS: number;
  readonly CKO_CERTIFICATE: number;
  readonly CKO_PRIVATE_KEY: number;
  readonly CKU_USER: number;
}

export interface Token {
  /** `pkcs11:token=…;object=…` */
  readonly uri: string;
  /** The module of the token's maker; `module-path` of the URI without it. */
  readonly module: string | undefined;
}

type Hash = 'sha256' | 'sha384' | 'sha512';

const objectsMax = 64;
/** An RSA signature of 4096 bits is 512 bytes. */
const signatureBytesMax = 1024;

/** The certificates that the URI fits, DER. @throws Pkcs11Error */
export function tokenCertificates(token: Token): readonly Buffer[] {
  return inSession(token, undefined, ({ pkcs11, find, value }) =>
    find(pkcs11.CKO_CERTIFICATE).map((each) => value(each, pkcs11.CKA_VALUE)),
  );
}

/** A signature by the one private key that the URI fits, as `crypto.sign` would make it. @throws Pkcs11Error */
export function tokenSignature(token: Token, pin: string | undefined, bytes: Buffer, over: Hash): Buffer {
  return inSession(token, pin, ({ pkcs11, native, session, find, value }) => {
    const [key, ...others] = find(pkcs11.CKO_PRIVATE_KEY);
    if (key === undefined || others.length > 0) throw new Pkcs11Error('NOT_FOUND');
    const isRsa = value(key, pkcs11.CKA_KEY_TYPE).readUInt32LE(0) === pkcs11.CKK_RSA;
    const digest = Buffer.from(hash(over, bytes, 'hex'), 'hex');
    const mechanism = isRsa ? pkcs11.CKM_RSA_PKCS : pkcs11.CKM_ECDSA;
    native.C_SignInit(session, { mechanism }, key);
    const input = isRsa ? Buffer.concat([digestPrefixes[over], digest]) : digest;
    const signature = native.C_Sign(session, input, Buffer.alloc(signatureBytesMax));
    return isRsa ? signature : derOf(signature);
  });
}

/** Whether a signature is by the key of this certificate. */
export function isSignatureOf(certificate: Buffer, bytes: Buffer, over: Hash, signature: Buffer): boolean {
  try {
    return verify(over, bytes, new X509Certificate(certificate).publicKey, signature);
  } catch {
    return false;
  }
}

/** What stands before a hash in PKCS#1 v1.5. RFC 8017, 9.2. */
const digestPrefixes: Readonly<Record<Hash, Buffer>> = {
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
};

interface Session {
  readonly pkcs11: Binding;
  readonly native: Native;
  readonly session: Handle;
  /** Objects of a class that the URI fits. */
  readonly find: (objectClass: number) => readonly Handle[];
  readonly value: (object: Handle, attribute: number) => Buffer;
}

/** Everything is opened and closed again: a token may be pulled, and a session that is kept is a login that is kept. */
function inSession<T>(token: Token, pin: string | undefined, work: (session: Session) => T): T {
  const wanted = wantedBy(token.uri);
  const path = token.module ?? wanted.get('module-path');
  if (path === undefined) throw new Pkcs11Error('UNAVAILABLE');
  const pkcs11 = binding();
  const native = new pkcs11.PKCS11();
  try {
    native.load(path);
    native.C_Initialize();
  } catch (error) {
    throw new Pkcs11Error('UNAVAILABLE', error);
  }
  try {
    const session = native.C_OpenSession(slotOf(native, wanted), pkcs11.CKF_SERIAL_SESSION);
    try {
      if (pin !== undefined) logIn(native, session, pin, pkcs11);
      return work({
        pkcs11,
        native,
        session,
        find: (objectClass) => found(native, session, templateOf(objectClass, wanted, pkcs11)),
        value: (object, type) => valueOf(native.C_GetAttributeValue(session, object, [{ type }])),
      });
    } finally {
      native.C_CloseSession(session);
    }
  } catch (error) {
    throw error instanceof Pkcs11Error ? error : new Pkcs11Error('FAILED', error);
  } finally {
    native.C_Finalize();
    native.close();
  }
}

function binding(): Binding {
  try {
    const load = createRequire(import.meta.url);
    return load('pkcs11js');
  } catch (error) {
    throw new Pkcs11Error('UNAVAILABLE', error);
  }
}

function logIn(native: Native, session: Handle, pin: string, pkcs11: Binding): void {
  try {
    native.C_Login(session, pkcs11.CKU_USER, pin);
  } catch (error) {
    // A wrong one counts: after a few the token locks itself. What is not about the PIN may be tried again.
    throw new Pkcs11Error(isAboutPin(error) ? 'PIN_REFUSED' : 'FAILED', error);
  }
}

/** CKR_PIN_INCORRECT to CKR_PIN_LOCKED; what has no number is taken for a refusal. */
function isAboutPin(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code !== 'number' || (code >= 0xa0 && code <= 0xa4);
}

function slotOf(native: Native, wanted: ReadonlyMap<string, string>): Handle {
  const fits = (slot: Handle): boolean => {
    const info = native.C_GetTokenInfo(slot);
    const said: Readonly<Record<string, string>> = {
      token: info.label,
      serial: info.serialNumber,
      manufacturer: info.manufacturerID,
      model: info.model,
    };
    return Object.entries(said).every(([name, value]) => {
      const one = wanted.get(name);
      // Padded with spaces, or with zeros where a maker got it wrong.
      return one === undefined || value.replace(/[\0 ]+$/u, '') === one;
    });
  };
  const [slot, ...others] = native.C_GetSlotList(true).filter(fits);
  if (slot === undefined || others.length > 0) throw new Pkcs11Error('NOT_FOUND');
  return slot;
}

function templateOf(objectClass: number, wanted: ReadonlyMap<string, string>, pkcs11: Binding): Template {
  const [label, id] = [wanted.get('object'), wanted.get('id')];
  return [
    { type: pkcs11.CKA_CLASS, value: objectClass },
    ...(label === undefined ? [] : [{ type: pkcs11.CKA_LABEL, value: label }]),
    ...(id === undefined ? [] : [{ type: pkcs11.CKA_ID, value: Buffer.from(id, 'latin1') }]),
  ];
}

function found(native: Native, session: Handle, template: Template): readonly Handle[] {
  native.C_FindObjectsInit(session, template);
  try {
    return native.C_FindObjects(session, objectsMax);
  } finally {
    native.C_FindObjectsFinal(session);
  }
}

function valueOf([attribute]: readonly { readonly value: Buffer }[]): Buffer {
  if (attribute === undefined) throw new Pkcs11Error('FAILED');
  return attribute.value;
}

/** `r` and `s`, one after the other, as the SEQUENCE of two INTEGERs that everybody else wants. */
function derOf(signature: Buffer): Buffer {
  const half = signature.length / 2;
  const parts = [signature.subarray(0, half), signature.subarray(half)].map(integer);
  return element(0x30, Buffer.concat(parts));
}

function integer(unsigned: Buffer): Buffer {
  const first = unsigned.findIndex((byte) => byte !== 0);
  const bytes = first === -1 ? Buffer.alloc(1) : unsigned.subarray(first);
  const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0;
  return element(0x02, isNegative ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
}

/** Shorter than 256 bytes, as these are: two integers of 67. */
function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  return Buffer.concat([Buffer.from(length < 0x80 ? [tag, length] : [tag, 0x81, length]), content]);
}

/**
 * The attributes of a `pkcs11:` URI, decoded; bytes that are no text as Latin-1.
 * @throws Pkcs11Error URI_INVALID, also for a PIN in it: whoever sees the URI would have it
 */
export function wantedBy(uri: string): ReadonlyMap<string, string> {
  const [, path = '', query = ''] = /^pkcs11:([^?]*)(?:\?(.*))?$/u.exec(uri) ?? [];
  if (!uri.startsWith('pkcs11:')) throw new Pkcs11Error('URI_INVALID');
  const pairs = [...path.split(';'), ...query.split('&')].filter((pair) => pair !== '');
  const wanted = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(equals, 0));
    if (!uriAttributes.has(name) || wanted.has(name)) throw new Pkcs11Error('URI_INVALID');
    wanted.set(name, name === 'id' ? latin1(pair.slice(equals + 1)) : decoded(pair.slice(equals + 1)));
  }
  return wanted;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Pkcs11Error('URI_INVALID');
  }
}

function latin1(text: string): string {
  return text.replaceAll(/%([0-9A-Fa-f]{2})/gu, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
