import { createHmac, randomBytes } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import type { Keyring, Unwrapper } from './keyring.ts';
import { messageOpener, messageSealer } from './message-sealer.ts';
import { hashLength, type PasswordVerifier, saltLength } from './password.ts';
import { uint } from './sealed-message.ts';
import type { SealContext } from './sealer.ts';

/** The key that seals the secrets of one host, in memory only. */
export interface MasterKey {
  /** From 1. */
  readonly generation: number;
  /** 32 random bytes. */
  readonly key: Secret;
  /** Present where an operator's password authorises changes. */
  readonly password?: PasswordVerifier;
}

const keyLength = 32;
const payloadVersion = 1;

export function newMasterKey(generation: number, password?: PasswordVerifier): MasterKey {
  const bytes = randomBytes(keyLength);
  const key = Secret.ofBytes(bytes);
  bytes.fill(0);
  return { generation, key, ...(password === undefined ? {} : { password }) };
}

/** What a wrapped master key is bound to: a copy of another host's, or of another generation, never opens as this one. */
export function masterKeyContext(agentName: string, generation: number): SealContext {
  return {
    'gatehouse:agent': agentName,
    'gatehouse:purpose': 'master-key',
    'gatehouse:generation': String(generation),
  };
}

/** Wraps a master key under the binding key: an Encryption SDK message, so any of its readers opens it with that key. */
export async function wrapMasterKey(
  masterKey: MasterKey,
  agentName: string,
  bindingKey: Keyring,
  signal: AbortSignal,
): Promise<Buffer> {
  const payload = payloadOf(masterKey);
  try {
    const context = masterKeyContext(agentName, masterKey.generation);
    return await messageSealer(bindingKey).seal(payload, context, signal);
  } finally {
    payload.fill(0);
  }
}

/**
 * Opens what `wrapMasterKey` wrapped, with one call to KMS. The caller disposes of the key.
 * @throws SEALED_…, KEY_…, MASTER_KEY_DAMAGED
 */
export async function openMasterKey(
  wrapped: Uint8Array,
  { agentName, generation }: { readonly agentName: string; readonly generation: number },
  bindingKey: Unwrapper,
  signal: AbortSignal,
): Promise<MasterKey> {
  const context = masterKeyContext(agentName, generation);
  const payload = await messageOpener(bindingKey).open(wrapped, context, signal);
  try {
    return masterKeyOf(payload, generation);
  } finally {
    payload.fill(0);
  }
}

/** Tells one master key from another and says nothing of either: a keyed hash, and the key is 32 random bytes. */
export function fingerprintOf({ key }: Pick<MasterKey, 'key'>): string {
  const hash = createHmac('sha256', key.revealBytes()).update('gatehouse master-key fingerprint').digest();
  return hash.subarray(0, 16).toString('hex');
}

/** What the records keep of a key that was opened. */
export function proofOf(masterKey: MasterKey, at: Date) {
  return { fingerprint: fingerprintOf(masterKey), hasPassword: masterKey.password !== undefined, at };
}

/**
 * What is wrapped, in this order: version 1, the key (32), 0 or 1 for no password or one; with a password argon2id's
 * memory in KiB (4), passes (4), lanes (4), salt (16) and hash (32). At most 94 bytes, so that RSA-2048 OAEP holds it.
 */
function payloadOf({ key, password }: MasterKey): Buffer {
  const start = [Buffer.of(payloadVersion), key.revealBytes()];
  if (password === undefined) return Buffer.concat([...start, Buffer.of(0)]);
  const { memoryKib, passes, lanes, salt, hash } = password;
  return Buffer.concat([
    ...start,
    Buffer.of(1),
    uint(4, memoryKib),
    uint(4, passes),
    uint(4, lanes),
    salt,
    hash,
  ]);
}

const withoutPassword = 1 + keyLength + 1;
const withPassword = withoutPassword + 3 * 4 + saltLength + hashLength;

function masterKeyOf(payload: Buffer, generation: number): MasterKey {
  const hasPassword = payload[withoutPassword - 1];
  const length = hasPassword === 1 ? withPassword : withoutPassword;
  if (payload[0] !== payloadVersion || payload.length !== length || (hasPassword ?? 2) > 1) {
    throw keysError('MASTER_KEY_DAMAGED', { generation });
  }
  const key = Secret.ofBytes(payload.subarray(1, 1 + keyLength));
  if (hasPassword === 0) return { generation, key };
  const at = (index: number): number => payload.readUInt32BE(withoutPassword + 4 * index);
  const saltStart = withoutPassword + 3 * 4;
  const password = {
    memoryKib: at(0),
    passes: at(1),
    lanes: at(2),
    salt: Buffer.from(payload.subarray(saltStart, saltStart + saltLength)),
    hash: Buffer.from(payload.subarray(saltStart + saltLength)),
  };
  return { generation, key, password };
}
