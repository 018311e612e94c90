import type { Keyring } from './keyring.ts';
import type { KeyKind, KmsFor } from './kms.ts';
import { type KmsUnwrapper, kmsAt, kmsKeyring, kmsUnwrapper } from './kms-keyring.ts';

/** A KMS key as what wraps a master key, and opens it again: a symmetric one by data keys, an RSA one by its public half. */
export type Binding = SymmetricBinding | RsaBinding;

interface SymmetricBinding extends Keyring, KmsUnwrapper {
  readonly kind: 'symmetric';
  readonly keyArn: string;
}

interface RsaBinding extends KmsUnwrapper {
  readonly kind: 'rsa';
  readonly keyArn: string;
  publicKey(signal: AbortSignal): Promise<Buffer>;
}

export interface BindingOptions {
  readonly keyArn: string;
  readonly kind: Exclude<KeyKind, 'other'>;
  readonly kmsFor: KmsFor;
}

export function kmsBinding({ keyArn, kind, kmsFor }: BindingOptions): Binding {
  const unwrapper = kmsUnwrapper({ trust: { keyArns: [keyArn] }, kmsFor });
  if (kind === 'symmetric') return { kind, keyArn, ...kmsKeyring({ keyArn, kmsFor }), ...unwrapper };
  return {
    kind,
    keyArn,
    ...unwrapper,
    publicKey: (signal) => kmsAt(keyArn, kmsFor).publicKey(keyArn, signal),
  };
}
