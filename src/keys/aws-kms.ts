import type { KMSClient } from '@aws-sdk/client-kms';
import { GatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { incompleteAnswer, translated } from './aws-kms-errors.ts';
import { keysError } from './errors.ts';
import { errorOfState, type KeyKind, type Kms, rsaAlgorithm } from './kms.ts';

/**
 * KMS by way of the AWS SDK. `connect` gives the region's client, the same one each time.
 */
export function awsKms(connect: () => Promise<Pick<KMSClient, 'send'>>): Kms {
  const kms: Kms = {
    async describeKey(keyId, signal) {
      const { DescribeKeyCommand } = await import('@aws-sdk/client-kms');
      const { KeyMetadata: key } = await translated('kms:DescribeKey', keyId, signal, async () =>
        (await connect()).send(new DescribeKeyCommand({ KeyId: keyId }), { abortSignal: signal }),
      );
      if (key?.Arn === undefined || key.KeyState === undefined)
        throw incompleteAnswer('kms:DescribeKey', keyId);
      const expiry = key.ValidTo === undefined ? {} : { materialExpiresAt: key.ValidTo };
      return { arn: key.Arn, state: key.KeyState, kind: kindOf(key), ...expiry };
    },

    async newDataKey(keyArn, context, signal) {
      const { GenerateDataKeyCommand } = await import('@aws-sdk/client-kms');
      const input = { KeyId: keyArn, KeySpec: 'AES_256' as const, EncryptionContext: { ...context } };
      const answer = await explained(keyArn, signal, 'kms:GenerateDataKey', async () =>
        (await connect()).send(new GenerateDataKeyCommand(input), { abortSignal: signal }),
      );
      if (
        answer.Plaintext === undefined ||
        answer.CiphertextBlob === undefined ||
        answer.KeyId === undefined
      ) {
        throw incompleteAnswer('kms:GenerateDataKey', keyArn);
      }
      return {
        plaintext: takeSecret(answer.Plaintext),
        wrapped: Buffer.from(answer.CiphertextBlob),
        keyArn: answer.KeyId,
      };
    },

    async wrapDataKey(keyArn, plaintext, context, signal) {
      const { EncryptCommand } = await import('@aws-sdk/client-kms');
      const input = {
        KeyId: keyArn,
        Plaintext: plaintext.revealBytes(),
        EncryptionContext: { ...context },
      };
      const answer = await explained(keyArn, signal, 'kms:Encrypt', async () =>
        (await connect()).send(new EncryptCommand(input), { abortSignal: signal }),
      );
      if (answer.CiphertextBlob === undefined) throw incompleteAnswer('kms:Encrypt', keyArn);
      return Buffer.from(answer.CiphertextBlob);
    },

    async openDataKey(keyArn, wrapped, context, signal) {
      const { DecryptCommand } = await import('@aws-sdk/client-kms');
      const input = { KeyId: keyArn, CiphertextBlob: wrapped, EncryptionContext: { ...context } };
      const answer = await explained(keyArn, signal, 'kms:Decrypt', async () =>
        (await connect()).send(new DecryptCommand(input), { abortSignal: signal }),
      );
      if (answer.Plaintext === undefined) throw incompleteAnswer('kms:Decrypt', keyArn);
      if (answer.KeyId !== keyArn) throw keysError('KEY_WRONG', { keyId: keyArn });
      return takeSecret(answer.Plaintext);
    },

    async publicKey(keyArn, signal) {
      const { GetPublicKeyCommand } = await import('@aws-sdk/client-kms');
      const answer = await explained(keyArn, signal, 'kms:GetPublicKey', async () =>
        (await connect()).send(new GetPublicKeyCommand({ KeyId: keyArn }), { abortSignal: signal }),
      );
      if (answer.PublicKey === undefined) throw incompleteAnswer('kms:GetPublicKey', keyArn);
      if (answer.KeyId !== keyArn) throw keysError('KEY_WRONG', { keyId: keyArn });
      // What is encrypted under a key that signs, nobody opens.
      if (kindOf(answer) !== 'rsa') throw keysError('KEY_KIND_UNSUITABLE', { keyArn });
      return Buffer.from(answer.PublicKey);
    },

    async decryptRsa(keyArn, ciphertext, signal) {
      const { DecryptCommand } = await import('@aws-sdk/client-kms');
      const input = { KeyId: keyArn, CiphertextBlob: ciphertext, EncryptionAlgorithm: rsaAlgorithm } as const;
      const answer = await explained(keyArn, signal, 'kms:Decrypt', async () =>
        (await connect()).send(new DecryptCommand(input), { abortSignal: signal }),
      );
      if (answer.Plaintext === undefined) throw incompleteAnswer('kms:Decrypt', keyArn);
      if (answer.KeyId !== keyArn) throw keysError('KEY_WRONG', { keyId: keyArn });
      return takeSecret(answer.Plaintext);
    },
  };

  /** KMSInvalidStateException does not say which state: the key is asked, and where that fails the error stays. */
  async function explained<T>(keyArn: string, signal: AbortSignal, action: string, call: () => Promise<T>) {
    try {
      return await translated(action, keyArn, signal, call);
    } catch (error) {
      if (!(error instanceof GatehouseError) || error.code !== 'KEY_UNUSABLE') throw error;
      const state = await stateOf(keyArn, signal);
      throw errorOfState(state, error.details, error.cause) ?? error;
    }
  }

  async function stateOf(keyArn: string, signal: AbortSignal): Promise<string> {
    try {
      const { state } = await kms.describeKey(keyArn, signal);
      return state;
    } catch {
      return 'unknown';
    }
  }

  return kms;
}

/** Both members are optional in the API, and mean the common kind where they are left out. */
function kindOf({
  KeyUsage: usage = 'ENCRYPT_DECRYPT',
  KeySpec: spec = 'SYMMETRIC_DEFAULT',
}: {
  KeyUsage?: string | undefined;
  KeySpec?: string | undefined;
}): KeyKind {
  if (usage !== 'ENCRYPT_DECRYPT') return 'other';
  if (spec === 'SYMMETRIC_DEFAULT') return 'symmetric';
  return spec.startsWith('RSA_') ? 'rsa' : 'other';
}

/** Wraps the bytes and overwrites what the SDK handed over. */
function takeSecret(bytes: Uint8Array): Secret {
  const secret = Secret.ofBytes(bytes);
  bytes.fill(0);
  return secret;
}
