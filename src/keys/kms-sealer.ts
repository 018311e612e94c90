import { asGatehouseError, type GatehouseError } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';
import { parseKeyArn } from './key-arn.ts';
import type { KmsFor } from './kms.ts';
import { keysEvent } from './log-events.ts';
import { parseSealedMessage, type SealedMessage, suiteId, wrappedKeysMax } from './sealed-message.ts';
import { type Opener, type SealContext, type Sealer, sealedBytesMax } from './sealer.ts';

/** Which KMS keys may open: these, or any of one account. An alias never opens; resolve it first. */
export type Trust =
  | { readonly keyArns: readonly string[] }
  | { readonly accountId: string; readonly partition: string };

export interface KmsOpenerOptions {
  /** All keys that may open. */
  readonly openWith: readonly string[];
  /** The one among them that seals today; any other that opens something is retired, and that is logged. */
  readonly keyArn: string | undefined;
  readonly kmsFor: KmsFor;
  readonly log: Log;
}

export interface KmsSealerOptions extends KmsOpenerOptions {
  /** The key to seal under. */
  readonly keyArn: string;
}

/** Opens messages whose data key is wrapped by one of these KMS keys, with one call each. */
export function kmsOpener({ openWith, keyArn, kmsFor, log }: KmsOpenerOptions): Opener {
  return {
    async open(sealed, context, signal) {
      const opened = await kmsOpen(sealed, context, { trust: { keyArns: openWith }, kmsFor }, signal);
      if (opened.keyArn !== keyArn) log(keysEvent('key.retired-used', { keyArn: opened.keyArn }));
      return opened.bytes;
    },
  };
}

/** A sealer whose every message has its data key wrapped by KMS: one call to seal, one to open. */
export function kmsSealer(options: KmsSealerOptions): Sealer {
  return {
    ...kmsOpener(options),
    seal: (bytes, context, signal) => kmsSeal(bytes, context, options, signal),
  };
}

/**
 * Seals bytes under a KMS key.
 * @throws as `Sealer.seal`
 */
export async function kmsSeal(
  bytes: Uint8Array,
  context: SealContext,
  { keyArn, kmsFor }: { readonly keyArn: string; readonly kmsFor: KmsFor },
  signal: AbortSignal,
): Promise<Buffer> {
  if (bytes.length > sealedBytesMax - headerBytesMax(context, keyArn)) {
    throw keysError('SEALED_TOO_LARGE', { bytes: bytes.length, bytesMax: sealedBytesMax });
  }
  const sdk = await encryptionSdk();
  const calls = keyCalls(kmsFor, signal);
  const keyring = new sdk.KmsKeyringNode({ generatorKeyId: keyArn, clientProvider: calls.clientProvider });
  try {
    const { result } = await sdk.client.encrypt(keyring, bytes, {
      suiteId,
      encryptionContext: { ...context },
    });
    return result;
  } catch (error) {
    signal.throwIfAborted();
    throw calls.failure() ?? asGatehouseError(error);
  }
}

/**
 * Opens a message, with the ARN of the key that opened it.
 * @throws as `Sealer.open`
 */
export async function kmsOpen(
  sealed: Uint8Array,
  context: SealContext,
  { trust, kmsFor }: { readonly trust: Trust; readonly kmsFor: KmsFor },
  signal: AbortSignal,
): Promise<{ bytes: Buffer; keyArn: string }> {
  const message = parseSealedMessage(sealed);
  requireSameContext(message.context, context);
  requireTrust(message, trust);

  const sdk = await encryptionSdk();
  const calls = keyCalls(kmsFor, signal);
  const { clientProvider } = calls;
  const keyring =
    'keyArns' in trust
      ? new sdk.KmsKeyringNode({ keyIds: [...trust.keyArns], clientProvider })
      : new sdk.KmsKeyringNode({
          discovery: true,
          discoveryFilter: { accountIDs: [trust.accountId], partition: trust.partition },
          clientProvider,
        });
  try {
    // The buffer form resolves after the last frame was verified; the stream form hands out earlier frames before.
    const { plaintext } = await sdk.client.decrypt(keyring, Buffer.from(sealed));
    const keyArn = calls.openedBy();
    if (keyArn !== undefined) return { bytes: plaintext, keyArn };
    throw new TypeError('a message opened without a key');
  } catch (error) {
    signal.throwIfAborted();
    const damaged = keysError('SEALED_DAMAGED', { what: 'content' }, error);
    // A key that opened proves that KMS is not to blame, whatever another key of the message met before.
    throw calls.openedBy() === undefined ? (calls.failure() ?? damaged) : damaged;
  }
}

function requireSameContext(actual: SealContext, expected: SealContext): void {
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  const differing = [...keys].filter((key) => actual[key] !== expected[key]);
  if (differing.length > 0) throw keysError('SEALED_CONTEXT_MISMATCH', { differing });
}

function requireTrust({ keyArns }: SealedMessage, trust: Trust): void {
  const trusted = keyArns.some((keyArn) => {
    if ('keyArns' in trust) return trust.keyArns.includes(keyArn);
    const parsed = parseKeyArn(keyArn);
    return parsed?.accountId === trust.accountId && parsed.partition === trust.partition;
  });
  if (!trusted) throw keysError('KEY_NOT_TRUSTED', { sealedUnder: keyArns });
}

/** Room for the header and for tag and number of every frame: refused a little early rather than a little late. */
function headerBytesMax(context: SealContext, keyArn: string): number {
  return Buffer.byteLength(JSON.stringify(context)) + keyArn.length + sealedBytesMax / 64;
}

/** The SDK's keyring with our own calls under it: it asks us, and flattens our errors to text, so we keep them. */
function keyCalls(kmsFor: KmsFor, signal: AbortSignal) {
  let failure: GatehouseError | undefined;
  let openedBy: string | undefined;

  const clientProvider = (region: string) => ({
    generateDataKey: ({
      KeyId,
      EncryptionContext = {},
    }: {
      KeyId: string;
      EncryptionContext?: SealContext;
    }) =>
      kept(async () => {
        const key = await kmsFor(region).newDataKey(KeyId, EncryptionContext, signal);
        return { Plaintext: given(key.plaintext), CiphertextBlob: key.wrapped, KeyId: key.keyArn };
      }),
    decrypt: (input: { KeyId?: string; CiphertextBlob: Uint8Array; EncryptionContext?: SealContext }) =>
      kept(async () => {
        const { KeyId: keyArn = '', CiphertextBlob: wrapped, EncryptionContext: context = {} } = input;
        const key = await kmsFor(region).openDataKey(keyArn, wrapped, context, signal);
        openedBy = keyArn;
        return { Plaintext: given(key), KeyId: keyArn };
      }),
    encrypt: () => Promise.reject(new TypeError('one key seals; kms:Encrypt is never needed')),
  });

  async function kept<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      failure ??= asGatehouseError(error);
      throw error;
    }
  }

  return { clientProvider, failure: () => failure, openedBy: () => openedBy };
}

/** A copy for the SDK, which overwrites it after use; ours is overwritten now. */
function given(secret: Secret): Uint8Array {
  const copy = Uint8Array.from(secret.revealBytes());
  secret.dispose();
  return copy;
}

/** Loaded at the first use: it costs some 200 ms and 21 MiB, which only those who seal or open something pay. */
async function encryptionSdk() {
  const { buildClient, CommitmentPolicy, KmsKeyringNode } = await import('@aws-crypto/client-node');
  const client = buildClient({
    commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
    maxEncryptedDataKeys: wrappedKeysMax,
  });
  return { client, KmsKeyringNode };
}
