import { createHmac, randomBytes } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import type { Binding } from './binding.ts';
import { keysError } from './errors.ts';
import { rsaAlgorithm } from './kms.ts';
import type { KmsUnwrapper } from './kms-keyring.ts';
import { messageOpener, messageSealer } from './message-sealer.ts';
import { hashLength, type PasswordVerifier, saltLength } from './password.ts';
import { contentOf, isRsaEnvelope, parseRsaEnvelope, sealRsaEnvelope } from './rsa-envelope.ts';
import { parseHeader, uint } from './sealed-message.ts';
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

/**
 * Wraps a master key under the binding key. Under a symmetric one it is an Encryption SDK message, so any of its readers
 * opens it with that key; under RSA an envelope, encrypted here: the master key is not sent anywhere.
 */
export async function wrapMasterKey(
  masterKey: MasterKey,
  agentName: string,
  binding: Binding,
  signal: AbortSignal,
): Promise<Buffer> {
  const { generation } = masterKey;
  const payload = payloadOf(masterKey);
  try {
    if (binding.kind === 'rsa') {
      const { keyArn } = binding;
      return sealRsaEnvelope({ keyArn, agentName, generation }, payload, await binding.publicKey(signal));
    }
    return await messageSealer(binding).seal(payload, masterKeyContext(agentName, generation), signal);
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
  bindingKey: KmsUnwrapper,
  signal: AbortSignal,
): Promise<MasterKey> {
  const wanted = { agentName, generation };
  const payload = isRsaEnvelope(wrapped)
    ? await openedEnvelope(wrapped, wanted, bindingKey, signal)
    : await messageOpener(bindingKey).open(wrapped, masterKeyContext(agentName, generation), signal);
  try {
    return masterKeyOf(payload, generation);
  } finally {
    payload.fill(0);
  }
}

async function openedEnvelope(
  wrapped: Uint8Array,
  wanted: { readonly agentName: string; readonly generation: number },
  bindingKey: KmsUnwrapper,
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted();
  const envelope = parseRsaEnvelope(wrapped);
  const { keyArn, ciphertext } = envelope;
  const differing = [
    ...(envelope.agentName === wanted.agentName ? [] : ['gatehouse:agent']),
    ...(envelope.generation === wanted.generation ? [] : ['gatehouse:generation']),
  ];
  if (differing.length > 0) throw keysError('SEALED_CONTEXT_MISMATCH', { differing });
  const decrypted = await bindingKey.decryptRsa(keyArn, ciphertext, signal);
  try {
    return contentOf(envelope, decrypted);
  } finally {
    decrypted.dispose();
  }
}

/** Which KMS key a wrapped master key says that it is under, and how. @throws SEALED_DAMAGED, SEALED_FORMAT_UNKNOWN */
export function wrappingOf(wrapped: Uint8Array): { readonly keyArn: string; readonly algorithm: string } {
  if (isRsaEnvelope(wrapped)) return { keyArn: parseRsaEnvelope(wrapped).keyArn, algorithm: rsaAlgorithm };
  return { keyArn: parseHeader(wrapped).keyArns[0] ?? '', algorithm: 'SYMMETRIC_DEFAULT' };
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
 * memory in KiB (4), passes (4), lanes (4), salt (16) and hash (32). At most 94 bytes, so that RSA-2048 OAEP holds it and the digest of an envelope.
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
