import { aliasOperations } from './kms/aliases.ts';
import { cryptographyOperations } from './kms/cryptography.ts';
import { customKeyStoreOperations } from './kms/custom-key-stores.ts';
import { grantOperations } from './kms/grants.ts';
import { importOperations } from './kms/imports.ts';
import { keyOperations } from './kms/keys.ts';
import { policyOperations } from './kms/policies.ts';
import { type KmsState, newKmsState, passTime } from './kms/state.ts';
import { tagOperations } from './kms/tags.ts';
import type { JsonService, Operation } from './service.ts';

export type { KmsState } from './kms/state.ts';

const operations: Record<string, Operation<KmsState>> = {
  ...keyOperations,
  ...policyOperations,
  ...aliasOperations,
  ...tagOperations,
  ...cryptographyOperations,
  ...importOperations,
  ...grantOperations,
  ...customKeyStoreOperations,
};

/**
 * AWS KMS: symmetric keys with real AES-256-GCM, RSA encryption keys with real OAEP, imported material, custom key
 * stores that are connected or not, key policies, grants. Follows the KMS API reference; messages are those seen from
 * AWS where they are known.
 */
export const kms: JsonService<KmsState> = {
  signingName: 'kms',
  targetPrefix: 'TrentService',
  newState: newKmsState,
  operations: Object.fromEntries(
    Object.entries(operations).map(([name, operation]): [string, Operation<KmsState>] => [
      name,
      (input, state, context) => {
        passTime(state, context.now);
        return operation(input, state, context);
      },
    ]),
  ),
};
