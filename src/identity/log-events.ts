import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

const source = 'name of the credential source';
const accessKeyId = 'id of the access key, which is not secret';
const expiration = 'when the credentials expire, ISO 8601; absent when they do not';

export const identityLogEvents = {
  'credentials.obtained': {
    level: 'info',
    summary: 'the first credentials were obtained',
    fields: { source, accessKeyId, expiration },
    audit: 'success',
  },
  'credentials.renewed': {
    level: 'info',
    summary: 'the credentials were renewed',
    fields: { source, accessKeyId, expiration },
    audit: 'success',
  },
  'credentials.renewal-failed': {
    level: 'warn',
    summary: 'credentials could not be obtained or renewed; it is tried again, and its recovery is logged',
    fields: {
      error: 'what went wrong',
      usableUntil: 'when the last good credentials expire, ISO 8601; absent when there are none',
    },
    audit: 'failure',
  },
  'credentials.expired': {
    level: 'error',
    summary: 'the last good credentials expired before they could be renewed',
    fields: { source, expiration },
    audit: 'failure',
  },
  'credentials.recovered': {
    level: 'info',
    summary: 'credentials can be obtained again',
    fields: {
      source,
      attempts: 'how many attempts had failed',
      failedForMs: 'how long it had failed, milliseconds',
    },
  },
  'credentials.long-term': {
    level: 'warn',
    summary: 'the credentials are long-term keys; a host should hold none',
    fields: { source, accessKeyId },
  },
} as const satisfies LogEventTable;

export const identityEvent = logEventsOf(identityLogEvents);
