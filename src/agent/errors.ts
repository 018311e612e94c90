import { apiErrors } from '../api/errors.ts';
import { baseErrors, type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';
import { configErrors } from '../config/errors.ts';
import { deliveryErrors } from '../delivery/errors.ts';
import { eventsErrors } from '../events/errors.ts';
import { identityErrors } from '../identity/errors.ts';
import { keysErrors } from '../keys/errors.ts';
import { secretsErrors } from '../secrets/errors.ts';
import { systemErrors } from '../system/errors.ts';

export const agentErrors = {
  AWS_ENDPOINT_INVALID: {
    summary: 'the AWS endpoint that was given is not a URL',
    remedy:
      'Give the named variable or flag a full URL such as https://vpce-….kms.eu-west-1.vpce.amazonaws.com, or leave it out.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  AWS_ENDPOINT_INSECURE: {
    summary: 'the AWS endpoint that was given is neither https nor on this host',
    remedy:
      'Use https: plain http carries secrets in clear and is accepted for loopback and link-local hosts only.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  AWS_CA_BUNDLE_UNREADABLE: {
    summary: 'the CA bundle named by AWS_CA_BUNDLE cannot be read',
    remedy: 'Name a readable PEM file in AWS_CA_BUNDLE, or unset it to trust the usual authorities.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  AWS_CA_BUNDLE_EMPTY: {
    summary: 'the CA bundle named by AWS_CA_BUNDLE holds no certificate in PEM',
    remedy:
      'Name a file with the certificates of the authorities in PEM (openssl x509 -inform DER makes it of DER), or unset AWS_CA_BUNDLE to trust the usual authorities.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  AWS_PROXY_INVALID: {
    summary: 'the proxy that the environment names is not one that can be used',
    remedy:
      'Write http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host where the proxy asks for them, percent-encoded; SOCKS is not spoken.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  AWS_SWITCH_INVALID: {
    summary: 'a switch of AWS in the environment is neither true nor false',
    remedy: 'Set the named variable to true or false, or unset it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CLOCK_SKEWED: {
    summary: "this host's clock is not AWS's",
    remedy:
      'Let chrony or systemd-timesyncd set the clock. Until then Gatehouse corrects for it; other programs on this host may be refused.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  AGENT_NOT_READY: {
    summary: 'the agent is starting or stopping and takes no commands',
    remedy: 'Ask again when gatehouse status says ready.',
    retry: true,
    exitCode: exitCode.tryAgain,
    httpStatus: 503,
  },
  CONSUMER_CREDENTIALS_NOT_TEMPORARY: {
    summary:
      'the credentials are long-term keys, or do not say when they expire, and such are handed to nobody',
    remedy: 'Give this host a role, or the consumer a roleArn of its own.',
    retry: false,
    exitCode: exitCode.refused,
    httpStatus: 503,
  },
  CONSUMER_UNKNOWN: {
    summary: 'the gateway config names no such consumer any more',
    remedy: 'Add the consumer to credentialEndpoints.consumers, or stop the program that asks.',
    retry: true,
    exitCode: exitCode.configuration,
    httpStatus: 503,
  },
  CONSUMER_HOST_ROLE_UNKNOWN: {
    summary: 'the credentials of this host are not those of a role, which a session policy could narrow',
    remedy: 'Give the consumer a roleArn of its own.',
    retry: false,
    exitCode: exitCode.configuration,
    httpStatus: 503,
  },
  CREDENTIALS_FILE_UNKNOWN: {
    summary: 'nothing says where the shared credentials file of this user is',
    remedy: 'Set HOME, or name the file in AWS_SHARED_CREDENTIALS_FILE.',
    retry: false,
    exitCode: exitCode.usage,
  },
  INPUT_MISSING: {
    summary: 'the input file cannot be read',
    remedy: 'Name a file that exists and that you may read, or - for standard input.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  INPUT_TOO_LARGE: {
    summary: 'the input is larger than it may be',
    remedy: 'Name the right file; the limit in the details is far above what such an input needs.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  USAGE: {
    summary: 'the command line is not one this program knows',
    remedy: 'See gatehouse --help, or gatehouse COMMAND --help.',
    retry: false,
    exitCode: exitCode.usage,
  },
  OUTPUT_UNWRITABLE: {
    summary: 'standard output cannot be written',
    remedy: 'Free space where the output goes, or send it elsewhere; what arrived there is incomplete.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  SEALING_KEY_MISSING: {
    summary: 'nothing says which key is to seal, and this host has no master key yet',
    remedy:
      'Name a KMS key by id, ARN or alias: --wrap kms --key-id ID. Or make one: gatehouse master-key create.',
    retry: false,
    exitCode: exitCode.usage,
  },
  MANIFEST_INVALID: {
    summary: 'the manifest of secrets to seal is not valid',
    remedy: 'Correct each problem listed; the file holds {"secrets": [{"name": …, "in": …, "out": …}]}.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  MANIFEST_INCOMPLETE: {
    summary: 'some secrets of the manifest were not sealed',
    remedy: 'Mend what is listed and run it again with --force for those that are sealed already.',
    retry: false,
    exitCode: exitCode.failed,
  },
  AWS_FILE_NOT_TEXT: {
    summary:
      'the AWS config or credentials file is not UTF-8 text, and would not be the same when written again',
    remedy: 'Write it as UTF-8 (iconv -f latin1 -t utf8), or move it away. It was not changed.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  PROFILE_TAKEN: {
    summary: 'the AWS profile gets its credentials in another way already',
    remedy:
      'Choose another --profile, or remove the setting named in the details; a credential_process is replaced with --force.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PROFILE_OVERSHADOWED: {
    summary:
      'the AWS profile has keys in the credentials file, which every SDK takes before a credential_process',
    remedy:
      'Remove the profile from the credentials file, and delete those keys in IAM; or choose another --profile.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PROFILE_UNWRITABLE: {
    summary: 'a word of the credential_process holds characters that not every SDK reads back',
    remedy: 'Move the file to a path of letters, digits, spaces and . / _ -.',
    retry: false,
    exitCode: exitCode.usage,
  },
  SANDBOX_FAULTS_INVALID: {
    summary: 'the file of faults to inject is not valid',
    remedy: 'Correct each problem listed; the file holds {"faults": [ … ]}.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  SANDBOX_FILE_UNREADABLE: {
    summary: 'a file that the sandbox is given cannot be read',
    remedy: 'Name a file that exists and that you may read.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  SANDBOX_STATE_DAMAGED: {
    summary: 'the file with the state of the sandbox is damaged',
    remedy: 'Name a file that this version of the sandbox wrote, or remove it to begin with an empty AWS.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  WORKLOAD_SECRET_MISSING: {
    summary: 'the command was not started, for a secret of its environment could not be read',
    remedy: 'See why in the log line secret.failed of that secret, or take it out of exec.environment.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  WORKLOAD_SECRET_UNFIT: {
    summary: 'the command was not started, for a secret of its environment is no text, or has a NUL in it',
    remedy: 'Deliver this secret as a file: an environment variable cannot hold it.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  SANDBOX_ADDRESS_IN_USE: {
    summary: 'the sandbox cannot listen on this port',
    remedy: 'Choose another port, or let --port 0 choose one that is free.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  SANDBOX_NOT_INCLUDED: {
    summary: 'the sandbox is not part of this installation',
    remedy: 'Run it from a checkout of Gatehouse: npm run -s gatehouse -- sandbox.',
    retry: false,
    exitCode: exitCode.unavailable,
  },
} as const satisfies ErrorTable;

export const agentError = errorsOf(agentErrors);

/** Every error code of the program. The reference page is made from it. */
export const errorTable: ErrorTable = {
  ...baseErrors,
  ...agentErrors,
  ...apiErrors,
  ...configErrors,
  ...deliveryErrors,
  ...eventsErrors,
  ...identityErrors,
  ...keysErrors,
  ...secretsErrors,
  ...systemErrors,
};
