import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const secretsErrors = {
  SECRET_NOT_FOUND: {
    summary: 'Secrets Manager has no such secret',
    remedy: 'Check the name or ARN, the region and the account; a full ARN ends in six random characters.',
    retry: false,
    exitCode: exitCode.configuration,
    httpStatus: 404,
  },
  SECRET_VERSION_NOT_FOUND: {
    summary: 'the secret has no such version',
    remedy: 'Check versionStage and versionId; a secret that never got a value has no AWSCURRENT.',
    retry: false,
    exitCode: exitCode.configuration,
    httpStatus: 404,
  },
  SECRET_DELETED: {
    summary: 'the secret is scheduled for deletion',
    remedy: 'Restore it (aws secretsmanager restore-secret), or name another one.',
    retry: false,
    exitCode: exitCode.configuration,
    httpStatus: 404,
  },
  SECRET_DENIED: {
    summary: 'Secrets Manager refuses this host the secret',
    remedy:
      'Allow secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key where it has one of its own.',
    retry: false,
    exitCode: exitCode.refused,
    httpStatus: 403,
  },
  SECRET_KEY_UNUSABLE: {
    summary: 'Secrets Manager cannot use the KMS key of the secret',
    remedy: 'Check that the KMS key of the secret is enabled and that this host may use it.',
    retry: false,
    exitCode: exitCode.refused,
  },
  SECRET_CREDENTIALS_REFUSED: {
    summary: 'Secrets Manager does not accept the credentials of this host',
    remedy:
      'See gatehouse whoami; check that the credentials are current and that the clock of this host is right.',
    retry: true,
    exitCode: exitCode.refused,
  },
  SECRET_THROTTLED: {
    summary: 'Secrets Manager asks for fewer calls',
    remedy: 'Nothing: it is tried again. If it lasts, read secrets less often.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  SECRET_UNREACHABLE: {
    summary: 'Secrets Manager cannot be reached or does not answer as it should',
    remedy: 'Check the network path, proxy and VPC endpoint of Secrets Manager in this region.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  SECRET_REQUEST_REFUSED: {
    summary: 'Secrets Manager refuses the request',
    remedy: 'Check secretId, versionStage and versionId; the name of the refusal is among the causes.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  SECRET_NOT_JSON: {
    summary: 'the secret is not a JSON object, but one of its fields is asked for',
    remedy: 'Store a JSON object as SecretString, or remove jsonField to use the whole value.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  SECRET_FIELD_MISSING: {
    summary: 'the JSON of the secret lacks the field',
    remedy: 'Check the spelling of jsonField; it is a key of the outermost object.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  SECRET_FIELD_TYPE: {
    summary: 'the field of the secret is neither a string nor a number nor a boolean',
    remedy: 'Name a field with a plain value, or remove jsonField to use the whole JSON.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  SECRET_SEALED_FOR_OTHER_USE: {
    summary: 'the sealed file was sealed for something else',
    remedy:
      'Seal the secret again under this name, on or for this host; the details name the pair that differs.',
    retry: false,
    exitCode: exitCode.refused,
  },
  SECRET_ROLLED_BACK: {
    summary: 'the sealed file is older than one that was seen on this host under this name',
    remedy:
      'Put the newest file back. If the older one is meant, allow it: gatehouse master-key allow-older --name NAME.',
    retry: false,
    exitCode: exitCode.refused,
  },
  SECRET_NAME_INVALID: {
    summary: 'this is not a name that a secret can have',
    remedy: 'Use 1 to 128 of A-Z a-z 0-9 . _ - for the name, and a whole number from 1 for its version.',
    retry: false,
    exitCode: exitCode.usage,
  },
  SECRET_HOST_UNNAMED: {
    summary: 'a file can only be bound to a host that has a name of its own',
    remedy:
      'Set name in the bootstrap config, or GATEHOUSE_NAME: hostnames change, and autoscaling repeats them.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  SECRET_UNKNOWN: {
    summary: 'no secret of this name is configured',
    remedy: 'Add it to secrets in the gateway config, or correct the name.',
    retry: false,
    exitCode: exitCode.configuration,
    httpStatus: 404,
  },
} as const satisfies ErrorTable;

export const secretsError = errorsOf(secretsErrors);
