import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const configErrors = {
  CONFIG_INVALID: {
    summary: 'the bootstrap config is not valid',
    remedy: 'Correct each problem listed; `gatehouse config schema bootstrap` describes every key.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_NOT_JSON: {
    summary: 'the bootstrap config file is not JSON',
    remedy: 'Correct the file at the line and column given, or write it anew if it was cut short.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_FILE_MISSING: {
    summary: 'the bootstrap config file that was named does not exist',
    remedy: 'Create the file, or name another one with --config or GATEHOUSE_CONFIG.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_FILE_UNREADABLE: {
    summary: 'the bootstrap config file cannot be read',
    remedy: 'Run as the user the file belongs to, or let this user read it and every folder above it.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CONFIG_FILE_UNSAFE: {
    summary: 'somebody else could change the bootstrap config file',
    remedy: 'Run the command given under "run", once you have seen that the content is as you want it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_FILE_NOT_REGULAR: {
    summary: 'what should be the bootstrap config file is not a regular file',
    remedy: 'Name a regular file with --config or GATEHOUSE_CONFIG.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_FILE_TOO_LARGE: {
    summary: 'the bootstrap config file is larger than such a file can sensibly be',
    remedy:
      'Name the right file: a bootstrap config has a few lines; everything else is in the gateway config.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_SECRET_NAME_MISSING: {
    summary: 'nothing says which secret holds the gateway config',
    remedy:
      'Give its name with --secret-name (or --aws-kms-secret-name), in the environment as ' +
      'GATEHOUSE_SECRET_NAME (or AWS_KMS_SECRET_NAME), or in the bootstrap config file as gatewayConfig.secretName.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CONFIG_REGION_MISSING: {
    summary: 'nothing says which AWS region to use',
    remedy: 'Set region in the bootstrap config file, or GATEHOUSE_REGION or AWS_REGION in the environment.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_EMPTY: {
    summary: 'the gateway config secret has no value',
    remedy: 'Store the gateway config as the value of the secret: JSON, base64 of JSON, or binary.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_TOO_LARGE: {
    summary: 'the gateway config is larger than a secret can be',
    remedy: 'Shorten it to the limit given; Secrets Manager would not store more.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_NOT_TEXT: {
    summary: 'the gateway config is not UTF-8 text',
    remedy:
      'Store JSON in UTF-8, plain, base64-encoded or as binary; not a compressed or encrypted form of it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_NOT_JSON: {
    summary: 'the gateway config is not JSON, nor base64 of JSON',
    remedy: 'Correct it at the line and column given, or store it anew if it was cut short.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_NOT_OBJECT: {
    summary: 'the gateway config is JSON, but not an object',
    remedy: 'Store an object that begins with {"version": 1, …}; see `gatehouse config schema gateway`.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_VERSION_UNKNOWN: {
    summary: 'the gateway config has a version that this program does not know',
    remedy: 'Store it with "version": 1, or install a Gatehouse that knows the version.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_INVALID: {
    summary: 'the gateway config is not valid',
    remedy: 'Correct each problem listed; `gatehouse config schema gateway` describes every key.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  GATEWAY_CONFIG_COPY_DAMAGED: {
    summary: 'the last-known-good copy of the gateway config is damaged, and is not used',
    remedy: 'Nothing: it is written anew once the gateway config was fetched. If it recurs, check the disk.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  GATEWAY_CONFIG_COPY_FOREIGN: {
    summary: 'the last-known-good copy of the gateway config is of another host, secret, stage or region',
    remedy:
      'Nothing: it is written anew once the gateway config was fetched. The details name what differs from the bootstrap config.',
    retry: false,
    exitCode: exitCode.configuration,
  },
} as const satisfies ErrorTable;

export const configError = errorsOf(configErrors);
