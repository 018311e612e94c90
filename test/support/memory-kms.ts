import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  randomBytes,
} from 'node:crypto';
import { Secret } from '../../src/base/secret.ts';
import { keysError } from '../../src/keys/errors.ts';
import { errorOfState, type KeyKind, type Kms } from '../../src/keys/kms.ts';
import type { SealContext } from '../../src/keys/sealer.ts';

export interface MemoryKms extends Kms {
  /** Makes a key and gives its ARN. */
  addKey(options?: { alias?: string; region?: string; accountId?: string; rsa?: RsaBits }): string;
  setState(keyArn: string, state: string): void;
  /** Makes every call fail, or those of one action, with this error until it is called with undefined. */
  failWith(error: Error | undefined, action?: string): void;
  /** What was asked, in order: `GenerateDataKey ARN`. */
  readonly calls: string[];
}

export type RsaBits = 2048 | 3072 | 4096;

interface Key {
  state: string;
  readonly kind: KeyKind;
  readonly material: Buffer;
  /** Of an RSA key. */
  readonly privateKey?: KeyObject;
  readonly publicKey?: Buffer;
}

/** KMS in memory, for tests: contexts are bound, keys are told apart, states are honoured. */
export function memoryKms(): MemoryKms {
  const keys = new Map<string, Key>();
  const aliases = new Map<string, string>();
  const calls: string[] = [];
  let failure: Error | undefined;
  let failing: string | undefined;

  function usable(action: string, keyId: string, signal: AbortSignal): Key {
    signal.throwIfAborted();
    calls.push(`${action} ${keyId}`);
    if (failure !== undefined && (failing ?? action) === action) throw failure;
    const key = keys.get(keyId);
    if (key === undefined) throw keysError('KEY_NOT_FOUND', { keyId });
    const stateError = action === 'DescribeKey' ? undefined : errorOfState(key.state, { keyId });
    if (stateError !== undefined) throw stateError;
    return key;
  }

  function symmetric(action: string, keyId: string, signal: AbortSignal): Key {
    const key = usable(action, keyId, signal);
    if (key.kind !== 'symmetric') throw keysError('KEY_KIND_UNSUITABLE', { keyId });
    return key;
  }

  return {
    calls,

    addKey({ alias, region = 'eu-west-1', accountId = '123456789012', rsa } = {}) {
      const arn = `arn:aws:kms:${region}:${accountId}:key/${crypto.randomUUID()}`;
      const material = randomBytes(32);
      keys.set(arn, {
        state: 'Enabled',
        material,
        ...(rsa === undefined ? { kind: 'symmetric' } : { kind: 'rsa', ...pairOf(rsa) }),
      });
      if (alias !== undefined) aliases.set(alias, arn);
      return arn;
    },

    setState(keyArn, state) {
      const key = keys.get(keyArn);
      if (key !== undefined) key.state = state;
    },

    failWith(error, action) {
      failure = error;
      failing = action;
    },

    async describeKey(keyId, signal) {
      const arn = aliases.get(keyId) ?? keyId;
      const { state, kind } = usable('DescribeKey', arn, signal);
      return { arn, state, kind };
    },

    async newDataKey(keyArn, context, signal) {
      const { material } = symmetric('GenerateDataKey', keyArn, signal);
      const dataKey = randomBytes(32);
      return { plaintext: Secret.ofBytes(dataKey), wrapped: wrap(material, dataKey, context), keyArn };
    },

    async wrapDataKey(keyArn, plaintext, context, signal) {
      const { material } = symmetric('Encrypt', keyArn, signal);
      return wrap(material, plaintext.revealBytes(), context);
    },

    async openDataKey(keyArn, wrapped, context, signal) {
      const { material } = symmetric('Decrypt', keyArn, signal);
      const opened = unwrap(material, Buffer.from(wrapped), context);
      if (opened !== undefined) return Secret.ofBytes(opened);
      const other = [...keys].some(
        ([, key]) => unwrap(key.material, Buffer.from(wrapped), context) !== undefined,
      );
      throw keysError(other ? 'KEY_WRONG' : 'KEY_CIPHERTEXT_REFUSED', { keyId: keyArn });
    },

    async publicKey(keyArn, signal) {
      const { publicKey } = usable('GetPublicKey', keyArn, signal);
      if (publicKey === undefined) throw keysError('KEY_KIND_UNSUITABLE', { keyArn });
      return publicKey;
    },

    async decryptRsa(keyArn, ciphertext, signal) {
      const { privateKey } = usable('Decrypt', keyArn, signal);
      if (privateKey === undefined) throw keysError('KEY_KIND_UNSUITABLE', { keyArn });
      try {
        const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
        return Secret.ofBytes(privateDecrypt({ key: privateKey, ...padding }, ciphertext));
      } catch {
        throw keysError('KEY_CIPHERTEXT_REFUSED', { keyId: keyArn });
      }
    },
  };
}

function pairOf(modulusLength: RsaBits) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return { privateKey, publicKey: publicKey.export({ type: 'spki', format: 'der' }) };
}

function wrap(material: Buffer, dataKey: Uint8Array, context: SealContext): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', material, iv).setAAD(canonical(context));
  return Buffer.concat([iv, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
}

function unwrap(material: Buffer, wrapped: Buffer, context: SealContext): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', material, wrapped.subarray(0, 12), { authTagLength: 16 });
  try {
    decipher.setAAD(canonical(context)).setAuthTag(wrapped.subarray(-16));
    return Buffer.concat([decipher.update(wrapped.subarray(12, -16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function canonical(context: SealContext): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}
