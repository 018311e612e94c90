import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const eventsErrors = {
  EVENTS_THROTTLED: {
    summary: 'CloudWatch Logs asked to slow down',
    remedy:
      'Nothing to do: events wait in the spool and are sent later. Ask AWS for a higher quota if it lasts.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  EVENTS_UNREACHABLE: {
    summary: 'CloudWatch Logs could not be reached, or failed on its side',
    remedy: 'Check the network, the proxy and the VPC endpoint `logs`. Events wait in the spool meanwhile.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  EVENTS_CREDENTIALS_REFUSED: {
    summary: 'CloudWatch Logs did not accept the AWS credentials',
    remedy:
      'Look at `gatehouse whoami` and at the host clock; events wait until the credentials are renewed.',
    retry: true,
    exitCode: exitCode.refused,
  },
  EVENTS_CREDENTIALS_UNAVAILABLE: {
    summary: 'there are no AWS credentials to send events with',
    remedy: 'Look at the code in the details and at `gatehouse whoami`; events wait in the spool meanwhile.',
    retry: true,
    exitCode: exitCode.refused,
  },
  EVENTS_DENIED: {
    summary: 'the AWS credentials may not write to this log group',
    remedy:
      'Grant logs:PutLogEvents, and logs:CreateLogGroup, logs:CreateLogStream and logs:PutRetentionPolicy where the agent creates them.',
    retry: true,
    exitCode: exitCode.refused,
  },
  EVENTS_GROUP_MISSING: {
    summary: 'the log group does not exist and may not be created',
    remedy: 'Create the log group, or set events.createLogGroup to true. Events wait in the spool meanwhile.',
    retry: true,
    exitCode: exitCode.configuration,
  },
  EVENTS_REQUEST_INVALID: {
    summary: 'CloudWatch Logs holds the request to be invalid',
    remedy: 'Check logGroup, logStream and retentionDays of the source named in the details.',
    retry: true,
    exitCode: exitCode.configuration,
  },
  EVENTS_SEND_FAILED: {
    summary: 'CloudWatch Logs answered with an error that this program does not know',
    remedy: 'Look up the name of the error in the causes; events wait in the spool and are tried again.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  EVENTS_SPOOL_UNWRITABLE: {
    summary: 'the spool could not be written',
    remedy:
      'Free disk space or mend the disk under the state directory; nothing is lost and writing goes on by itself.',
    retry: true,
    exitCode: exitCode.cannotCreate,
  },
  EVENTS_SPOOL_DAMAGED: {
    summary: 'something in the spool is damaged, or was sealed under another data key',
    remedy:
      'Nothing to do for the agent: the rest is shipped. What is damaged is in the quarantine folder of the state directory; look at the disk.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  EVENTS_SPOOL_UNREADABLE: {
    summary: 'the disk does not give what is in the spool',
    remedy:
      'Look at the disk under the state directory, and at the owner of its files and the limit of open files where an errno in the details says so. It is tried again; where the agent does not start it leaves all as it is: start it again.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  EVENTS_SPOOL_KEY_UNAVAILABLE: {
    summary: 'the data key of the spool cannot be had just now',
    remedy:
      'See the code in the details, and whether KMS is reachable and the binding key enabled; it is tried again.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  EVENTS_SPOOL_KEY_LOST: {
    summary: 'a data key of the spool is gone: what was sealed under it cannot be opened',
    remedy: 'Restore the folder spool-keys of the state directory if there is a copy of it.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  EVENTS_SPOOL_KEY_MISSING: {
    summary: 'there is no key to seal the spool with',
    remedy: 'Set keys.bindingKey, or allow a spool in clear with events.spool.allowClearSpool.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  EVENTS_PATTERN_INVALID: {
    summary: 'a pattern of a source is not a regular expression as RE2 has them',
    remedy:
      'Correct the pattern in the gateway config; https://github.com/google/re2/wiki/Syntax has what there is.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  EVENTS_AUDIT_BLOCKED: {
    summary: 'audit records cannot be made durable, and audit.whenFull is deny',
    remedy:
      'See why the spool is full or cannot be written: gatehouse status. It is tried again; audit.whenFull: allow gives access without a record.',
    retry: true,
    exitCode: exitCode.tryAgain,
  },
  EVENTS_AUDIT_MISSING: {
    summary: 'there are no audit records to verify',
    remedy:
      'Name the log group and stream of an audit source with --log-group and --log-stream, and a --since that is early enough.',
    retry: false,
    exitCode: exitCode.missingInput,
  },
  EVENTS_AUDIT_UNREADABLE: {
    summary: 'the AWS credentials may not read this log group',
    remedy:
      'Verify with credentials that have logs:GetLogEvents on it; logs:DescribeLogGroups tells how long it keeps events.',
    retry: false,
    exitCode: exitCode.refused,
  },
  EVENTS_AUDIT_TOO_LONG: {
    summary: 'the stream has more events than one verification takes',
    remedy: 'Verify a part of it: give a later --since.',
    retry: false,
    exitCode: exitCode.usage,
  },
  EVENTS_LETTER_MISSING: {
    summary: 'there is no such event in the dead letter',
    remedy: 'List what there is: gatehouse events dead-letter list. It may have been dropped, or sent again.',
    retry: false,
    exitCode: exitCode.missingInput,
    httpStatus: 404,
  },
  EVENTS_LETTERS_UNNAMED: {
    summary: 'which events of the dead letter are meant is not said',
    remedy: 'Give their numbers, as gatehouse events dead-letter list shows them, or --all, and not both.',
    retry: false,
    exitCode: exitCode.usage,
  },
  EVENTS_SOURCE_UNKNOWN: {
    summary: 'no source of this name is shipped',
    remedy: 'Name one of the sources in the details, which are those of the gateway config.',
    retry: false,
    exitCode: exitCode.usage,
    httpStatus: 404,
  },
  EVENTS_NOT_SHIPPED: {
    summary: 'this agent ships no events',
    remedy: 'Give its gateway config a section events; while the agent starts, try again.',
    retry: true,
    exitCode: exitCode.configuration,
    httpStatus: 409,
  },
  EVENTS_TEST_REFUSED: {
    summary: 'CloudWatch Logs refused the test event',
    remedy: 'See the reason in the details, and whether the clock of this host is right.',
    retry: false,
    exitCode: exitCode.refused,
    httpStatus: 502,
  },
  EVENTS_TEST_NOT_TAKEN: {
    summary: 'CloudWatch Logs has not taken the test event yet; it waits in the spool',
    remedy: 'See the code of the last failure in the details, and gatehouse status.',
    retry: true,
    exitCode: exitCode.tryAgain,
    httpStatus: 504,
  },
  EVENTS_WORKER_DIED: {
    summary: 'the events worker ended without being asked to',
    remedy: 'Read the causes and the log lines before it. Restart the agent: what was spooled is kept.',
    retry: false,
    exitCode: exitCode.defect,
  },
} as const satisfies ErrorTable;

export const eventsError = errorsOf(eventsErrors);

export type EventsErrorCode = keyof typeof eventsErrors;

export function isEventsErrorCode(code: string): code is EventsErrorCode {
  return Object.hasOwn(eventsErrors, code);
}
