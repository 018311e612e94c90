import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

export const configLogEvents = {
  'config.variable-unknown': {
    level: 'warn',
    summary: 'an environment variable looks like one of ours and means nothing',
    fields: {
      variables: 'names of the variables',
    },
  },
  'config.applied': {
    level: 'info',
    summary: 'a version of the gateway config was applied',
    fields: {
      secretName: 'the secret that holds it',
      versionId: 'the version of that secret',
      changed: 'paths of the keys that took effect; empty at start',
      awsRequestId: 'id of the call at AWS that fetched it, as CloudTrail has it',
    },
    audit: 'success',
  },
  'config.refused': {
    level: 'error',
    summary: 'a version of the gateway config was refused; the running one stays',
    fields: {
      secretName: 'the secret that holds it',
      versionId: 'the version of that secret; absent when it could not be fetched',
      error: 'why',
    },
    audit: 'failure',
  },
  'config.accepted-again': {
    level: 'info',
    summary: 'the gateway config, refused before, is accepted again',
    fields: {
      secretName: 'the secret that holds it',
    },
  },
  'config.unchanged': {
    level: 'debug',
    summary: 'the gateway config was read again and is the same',
    fields: {
      secretName: 'the secret that holds it',
      versionId: 'the version of that secret',
    },
  },
  'config.restart-needed': {
    level: 'warn',
    summary: 'a change to the gateway config takes effect only at the next start',
    fields: {
      versionId: 'the version of the secret that brought the change',
      changed: 'paths of the keys that wait for a restart',
    },
    audit: 'success',
  },
} as const satisfies LogEventTable;

export const configEvent = logEventsOf(configLogEvents);
