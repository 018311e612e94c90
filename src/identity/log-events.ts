import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

const source = 'name of the credential source';
const consumer = 'the consumer whose they are; absent for those of the host itself';
const accessKeyId = 'id of the access key, which is not secret';
const service = 'the AWS service that denied them, as the SDK names it';
const awsError = "AWS's name for the error";
const expiration = 'when the credentials expire, ISO 8601; absent when they do not';

const certificatePath = 'file of the certificate';
const serialNumber = 'its serial number, decimal';
const expires = 'when it expires, ISO 8601';

export const identityLogEvents = {
  'credentials.obtained': {
    level: 'info',
    summary: 'the first credentials were obtained',
    fields: { source, accessKeyId, expiration, consumer },
    audit: 'success',
  },
  'credentials.renewed': {
    level: 'info',
    summary: 'the credentials were renewed',
    fields: { source, accessKeyId, expiration, consumer },
    audit: 'success',
  },
  'credentials.renewal-failed': {
    level: 'warn',
    summary: 'credentials could not be obtained or renewed; it is tried again, and its recovery is logged',
    fields: {
      error: 'what went wrong',
      usableUntil: 'when the last good credentials expire, ISO 8601; absent when there are none',
      consumer,
    },
    audit: 'failure',
  },
  'credentials.expired': {
    level: 'error',
    summary: 'the last good credentials expired before they could be renewed',
    fields: { source, expiration, consumer },
    audit: 'failure',
  },
  'credentials.extended': {
    level: 'warn',
    summary:
      'the source has nothing newer than credentials that have expired; AWS may take them all the same',
    fields: { source, accessKeyId, expiration },
  },
  'credentials.renewed-early': {
    level: 'warn',
    summary: 'AWS denied credentials that should still be good; newer ones were asked for',
    fields: { service, awsError },
    audit: 'failure',
  },
  'credentials.denied': {
    level: 'error',
    summary: 'AWS denies the credentials of this host, and newer ones too; its recovery is logged',
    fields: { service, awsError, error: 'what the renewal met, where that is what was denied' },
    audit: 'failure',
  },
  'credentials.accepted': {
    level: 'info',
    summary: 'AWS takes the credentials of this host again',
    fields: { service, deniedForMs: 'how long it had denied them, milliseconds' },
  },
  'credentials.recovered': {
    level: 'info',
    summary: 'credentials can be obtained again',
    fields: {
      source,
      attempts: 'how many attempts had failed',
      failedForMs: 'how long it had failed, milliseconds',
      consumer,
    },
  },
  'credentials.long-term': {
    level: 'warn',
    summary: 'the credentials are long-term keys; a host should hold none',
    fields: { source, accessKeyId },
  },
  'certificate.expires-soon': {
    level: 'warn',
    summary: 'the certificate of this host expires soon',
    fields: { path: certificatePath, serialNumber, expires, daysLeft: 'whole days until then' },
    audit: 'success',
  },
  'certificate.expired': {
    level: 'error',
    summary: 'the certificate of this host has expired: no new credentials can be had with it',
    fields: { path: certificatePath, serialNumber, expires },
    audit: 'failure',
  },
  'certificate.replaced': {
    level: 'info',
    summary: 'the certificate of this host was replaced',
    fields: { path: certificatePath, serialNumber, expires },
    audit: 'success',
  },
  'certificate.files-unusable': {
    level: 'warn',
    summary:
      'certificate and key in their files cannot be used; the ones before stay in use until they expire',
    fields: { error: 'what is wrong with them' },
    audit: 'failure',
  },
  'certificate.renewed': {
    level: 'info',
    summary: 'the certificate of this host was renewed by its command',
    fields: { path: certificatePath, serialNumber, command: 'the program that was run' },
    audit: 'success',
  },
  'certificate.renewal-failed': {
    level: 'warn',
    summary: 'the command that renews the certificate failed; it is run again, and its success is logged',
    fields: { error: 'what went wrong' },
    audit: 'failure',
  },
} as const satisfies LogEventTable;

export const identityEvent = logEventsOf(identityLogEvents);
