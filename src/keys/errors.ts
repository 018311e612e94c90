import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const keysErrors = {
  KEY_NOT_FOUND: {
    summary: 'the KMS key does not exist',
    remedy: 'Check the key ARN or alias, its account and its region.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_DISABLED: {
    summary: 'the KMS key is disabled',
    remedy: 'Enable the key (aws kms enable-key), or seal again under another key.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_PENDING_DELETION: {
    summary: 'the KMS key is scheduled for deletion',
    remedy:
      'Cancel the deletion (aws kms cancel-key-deletion, then enable-key) before its waiting period ends.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_UNUSABLE: {
    summary: 'the KMS key is in a state in which it cannot be used',
    remedy:
      'Look at the key state (aws kms describe-key); imported key material may have expired or be missing.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_KIND_UNSUITABLE: {
    summary: 'the KMS key is not a symmetric encryption key',
    remedy: 'Use a key with usage ENCRYPT_DECRYPT and spec SYMMETRIC_DEFAULT.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_DENIED: {
    summary: 'KMS refuses this host the use of the key',
    remedy:
      'Allow the action named in the details in the key policy and in the role policy, for this context.',
    retry: false,
    exitCode: exitCode.refused,
    httpStatus: 403,
  },
  KEY_CREDENTIALS_REFUSED: {
    summary: 'KMS does not accept the credentials of this host',
    remedy:
      'See gatehouse whoami; check that the credentials are current and that the clock of this host is right.',
    retry: true,
    exitCode: exitCode.refused,
  },
  KEY_THROTTLED: {
    summary: 'KMS asks for fewer calls',
    remedy: 'Nothing: it is tried again. If it lasts, ask for a higher KMS request quota.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  KEY_UNREACHABLE: {
    summary: 'KMS cannot be reached or does not answer as it should',
    remedy: 'Check the network path, proxy and VPC endpoint of KMS in the region named in the details.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  KEY_REQUEST_REFUSED: {
    summary: 'KMS refuses the request',
    remedy: 'Check the key identifier; the name of the refusal is among the causes.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  KEY_WRONG: {
    summary: 'the data was sealed under another key than the one given',
    remedy: 'Give the key it was sealed under, or name that key in keys.trustedKeys.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_NOT_TRUSTED: {
    summary: 'the data was sealed under keys that are not accepted here',
    remedy: 'Name one of the keys in the details as --key-id, or in keys.trustedKeys, if it is yours.',
    retry: false,
    exitCode: exitCode.refused,
  },
  KEY_CIPHERTEXT_REFUSED: {
    summary: 'KMS refuses a wrapped key: it is damaged, or it was wrapped with another context',
    remedy: 'Restore the data from a good copy; a copy made for another host or purpose never opens.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SEALED_CONTEXT_MISMATCH: {
    summary: 'the sealed data is for another name, purpose, version or host',
    remedy: 'Use the file that was sealed for this use; the details name the pairs that differ.',
    retry: false,
    exitCode: exitCode.refused,
  },
  SEALED_DAMAGED: {
    summary: 'the sealed data is damaged, incomplete or forged',
    remedy: 'Restore it from a good copy, or seal the secret again.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SEALED_FORMAT_UNKNOWN: {
    summary: 'the data is not a sealed file of this format',
    remedy:
      'Expected is an Encryption SDK message, version 2, suite 0x0478, framed, without signature, not base64.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SEALED_TOO_LARGE: {
    summary: 'the data is larger than what is sealed in one piece',
    remedy: 'Keep sealed files below the size in the details; they hold secrets, not archives.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
} as const satisfies ErrorTable;

export const keysError = errorsOf(keysErrors);
