import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

export const secretsLogEvents = {
  'secret.read': {
    level: 'info',
    summary: 'a version of a secret was read for the first time',
    fields: {
      secret: 'its name',
      version: 'the version: an id of Secrets Manager, or number and digest of a sealed file',
      source: '`secretsManager` or `sealedFile`',
      awsRequestId: 'id of the call at AWS, as CloudTrail has it; absent where there was none',
    },
    audit: 'success',
  },
  'secret.read-failed': {
    level: 'error',
    summary: 'a secret could not be read; the last good value stays in use where there is one',
    fields: {
      secret: 'its name',
      source: '`secretsManager` or `sealedFile`',
      error: 'why',
      heldVersion: 'the version still in use, if any',
    },
    audit: 'failure',
  },
  'secret.recovered': {
    level: 'info',
    summary: 'a secret can be read again',
    fields: { secret: 'its name', version: 'the version read' },
  },
  'secret.older-admitted': {
    level: 'warn',
    summary: 'an older sealed file was put in place of a newer one, which an operator had allowed',
    fields: { secret: 'its name', version: 'the version that is in use now', seen: 'the one it replaces' },
    audit: 'success',
  },
} as const satisfies LogEventTable;

export const secretsEvent = logEventsOf(secretsLogEvents);
