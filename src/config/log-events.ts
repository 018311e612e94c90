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
  'config.last-known-good-used': {
    level: 'warn',
    summary:
      'the agent starts with the sealed copy of its gateway config, for what Secrets Manager has cannot be used',
    fields: {
      secretName: 'the secret that holds it',
      versionId: 'the version in the copy',
      sealedAt: 'when the copy was sealed, ISO 8601',
      ageSeconds: 'how long ago that is',
      key: 'which key opened it: the ARN of a KMS key, or a generation of the master key',
      error: 'why the version in Secrets Manager cannot be used',
    },
    audit: 'failure',
  },
  'config.last-known-good-unusable': {
    level: 'error',
    summary: 'there is a sealed copy of the gateway config, but it cannot be used either',
    fields: {
      secretName: 'the secret that holds the config',
      error: 'why',
      setAside: 'where the copy is now, as evidence, when it is not what this host sealed; else it stays',
    },
    audit: 'failure',
  },
  'config.last-known-good-left': {
    level: 'info',
    summary: 'the gateway config is fetched from Secrets Manager again, after a start with the sealed copy',
    fields: {
      secretName: 'the secret that holds it',
      versionId: 'the version that was fetched',
      copyVersionId: 'the version in the copy',
    },
    audit: 'success',
  },
  'config.last-known-good-kept': {
    level: 'info',
    summary: 'a version of the gateway config is kept sealed, to start with when Secrets Manager is away',
    fields: {
      versionId: 'the version of the secret',
      key: 'under which key: the ARN of a KMS key, or a generation of the master key',
    },
    audit: 'success',
  },
  'config.last-known-good-failed': {
    level: 'warn',
    summary: 'the sealed copy of the gateway config cannot be kept as it should be; it is tried again',
    fields: { versionId: 'the version of the secret', error: 'why' },
    audit: 'failure',
  },
  'config.last-known-good-unremoved': {
    level: 'warn',
    summary:
      'a sealed copy of the gateway config that is not to be kept cannot be removed, and is still there',
    fields: { reason: 'why it is not to be kept', file: 'where it is', error: 'why it cannot be removed' },
    audit: 'failure',
  },
  'config.last-known-good-replaced': {
    level: 'warn',
    summary:
      'the sealed copy of the gateway config on the disk is not what this host kept; it is written anew',
    fields: { error: 'what is wrong with it' },
    audit: 'failure',
  },
  'config.last-known-good-removed': {
    level: 'warn',
    summary: 'the sealed copy of the gateway config is removed: this host is not to start with it any more',
    fields: { reason: 'a code of the refusal; no binding key; switched off' },
    audit: 'success',
  },
} as const satisfies LogEventTable;

export const configEvent = logEventsOf(configLogEvents);
