import { awsErrorCode, requestIdOf } from '../base/aws-error.ts';
import { GatehouseError } from '../base/errors.ts';
import { keysError } from './errors.ts';

type KmsCode = Parameters<typeof keysError>[0];

/** https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html and each operation's own errors. */
const codes: Readonly<Record<string, KmsCode>> = {
  NotFoundException: 'KEY_NOT_FOUND',
  DisabledException: 'KEY_DISABLED',
  KMSInvalidStateException: 'KEY_UNUSABLE',
  InvalidKeyUsageException: 'KEY_KIND_UNSUITABLE',
  UnsupportedOperationException: 'KEY_KIND_UNSUITABLE',
  AccessDeniedException: 'KEY_DENIED',
  IncorrectKeyException: 'KEY_WRONG',
  InvalidCiphertextException: 'KEY_CIPHERTEXT_REFUSED',
  ThrottlingException: 'KEY_THROTTLED',
  LimitExceededException: 'KEY_THROTTLED',
  KMSInternalException: 'KEY_UNREACHABLE',
  DependencyTimeoutException: 'KEY_UNREACHABLE',
  KeyUnavailableException: 'KEY_UNREACHABLE',
  ServiceUnavailable: 'KEY_UNREACHABLE',
  InternalFailure: 'KEY_UNREACHABLE',
  UnrecognizedClientException: 'KEY_CREDENTIALS_REFUSED',
  ExpiredTokenException: 'KEY_CREDENTIALS_REFUSED',
  InvalidClientTokenId: 'KEY_CREDENTIALS_REFUSED',
  InvalidSignatureException: 'KEY_CREDENTIALS_REFUSED',
  IncompleteSignature: 'KEY_CREDENTIALS_REFUSED',
  MissingAuthenticationTokenException: 'KEY_CREDENTIALS_REFUSED',
  AlreadyExistsException: 'KEY_ALIAS_EXISTS',
  MalformedPolicyDocumentException: 'KEY_POLICY_REFUSED',
  IncorrectKeyMaterialException: 'KEY_MATERIAL_OTHER',
  ExpiredImportTokenException: 'KEY_IMPORT_TOKEN_EXPIRED',
  InvalidImportTokenException: 'KEY_IMPORT_REFUSED',
  CustomKeyStoreNotFoundException: 'KEY_STORE_UNAVAILABLE',
  CustomKeyStoreInvalidStateException: 'KEY_STORE_UNAVAILABLE',
  CloudHsmClusterInvalidConfigurationException: 'KEY_STORE_UNAVAILABLE',
};

const others = { unreachable: 'KEY_UNREACHABLE', refused: 'KEY_REQUEST_REFUSED' } as const;

/** Runs a call to KMS; its errors come out as KEY_… ones, which name the action and the key. */
export async function translated<T>(
  action: string,
  keyId: string,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  try {
    return await call();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof GatehouseError) throw error;
    throw keysError(awsErrorCode(error, codes, others), { action, keyId, ...requestIdOf(error) }, error);
  }
}

/** An answer without what it always has. */
export function incompleteAnswer(action: string, keyId: string): GatehouseError {
  return keysError('KEY_UNREACHABLE', { action, keyId });
}
