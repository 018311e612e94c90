import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

export const keysLogEvents = {
  'key.resolved': {
    level: 'info',
    summary: 'the binding key is known and usable',
    fields: { keyId: 'the key as configured', keyArn: 'the ARN it stands for' },
  },
  'key.state-unknown': {
    level: 'warn',
    summary: 'the state of the binding key cannot be asked; the first use will show it',
    fields: { keyArn: 'the key', error: 'why it could not be asked' },
  },
  'key.material-expiring': {
    level: 'warn',
    summary:
      'the imported material of the binding key expires; import it again before, or nothing under it opens',
    fields: { keyArn: 'the key', expiresAt: 'when', days: 'whole days until then' },
    audit: 'success',
  },
  'key.material-expired': {
    level: 'error',
    summary:
      'the imported material of the binding key has expired: nothing under it opens until it is imported again',
    fields: { keyArn: 'the key', expiresAt: 'when', days: 'whole days until then, negative' },
    audit: 'failure',
  },
  'key.retired-used': {
    level: 'warn',
    summary: 'something was opened with a retired key: seal it again under the binding key',
    fields: { keyArn: 'the retired key that opened it' },
  },
  'key.rewrapped': {
    level: 'info',
    summary: 'a data key that a retired key had wrapped is wrapped by the key in use now',
    fields: {
      keyArn: 'the binding key, where that wraps it',
      generation: 'the generation of the master key, where that wraps it',
      retiredKeyArn: 'the KMS key that wrapped it before',
      retiredGeneration: 'the generation of the master key that wrapped it before',
    },
    audit: 'success',
  },
  'key.rewrap-failed': {
    level: 'warn',
    summary:
      'a data key that a retired key wrapped could not be wrapped anew: keep the retired one in keys.trustedKeys',
    fields: {
      keyArn: 'the binding key',
      retiredKeyArn: 'the KMS key that still wraps it',
      retiredGeneration: 'the generation of the master key that still wraps it',
      error: 'why',
    },
    audit: 'failure',
  },
  'kms-key.created': {
    level: 'info',
    summary: 'a KMS key was made',
    fields: { keyArn: 'the key', spec: 'its kind' },
    audit: 'success',
  },
  'kms-key.material-imported': {
    level: 'info',
    summary: 'key material was imported into a KMS key, and works',
    fields: { keyArn: 'the key', expiresAt: 'when it expires; absent where it does not' },
    audit: 'success',
  },
  'kms-key.renewal-foreign': {
    level: 'warn',
    summary:
      'a KMS key says that it takes the place of the old one, but its kind, policy or grants are not those of a key that gatehouse kms renew made: it is left alone',
    fields: { keyArn: 'the key that says so', before: 'the key that is renewed' },
    audit: 'failure',
  },
  'kms-key.spare': {
    level: 'warn',
    summary:
      'a KMS key was made that is not needed, by another run at once or by a call whose answer was lost: nothing is under it, and it costs money until it is deleted',
    fields: { keyArn: 'the key that is not needed', before: 'the key that is renewed, if one is' },
    audit: 'success',
  },
  'kms-key.alias-moved': {
    level: 'info',
    summary: 'an alias stands for another KMS key',
    fields: { alias: 'the alias', keyArn: 'the key that it stands for now', before: 'the key before' },
    audit: 'success',
  },
  'master-key.opened': {
    level: 'info',
    summary: 'a generation of the master key was opened; it stays in memory',
    fields: { generation: 'its number', fingerprint: 'which key it is' },
    audit: 'success',
  },
  'master-key.records-failed': {
    level: 'warn',
    summary:
      'the records of the master key cannot be used: sealed files open, but an older one put back is not noticed',
    fields: { error: 'why' },
  },
  'master-key.watermark-away': {
    level: 'warn',
    summary:
      'the registry does not answer: whether an older sealed file was put back is judged by what this host knows alone',
    fields: { table: 'the registry’s table', error: 'why' },
  },
  'master-key.watermark-back': {
    level: 'info',
    summary: 'the registry answers again: an older sealed file that is put back is noticed',
    fields: { table: 'the registry’s table' },
  },
  'master-key.created': {
    level: 'info',
    summary: 'the master key of this host was made',
    fields: { generation: 'its number', fingerprint: 'which key it is', keyArn: 'the KMS key that wraps it' },
    audit: 'success',
  },
  'master-key.rewrapped': {
    level: 'info',
    summary: 'a generation of the master key is wrapped anew',
    fields: { generation: 'its number', keyArn: 'the KMS key that wraps it now' },
    audit: 'success',
  },
  'master-key.bound': {
    level: 'info',
    summary: 'this host’s master key is in the registry',
    fields: { table: 'the registry’s table', generations: 'how many of its generations' },
    audit: 'success',
  },
  'master-key.recovered': {
    level: 'info',
    summary: 'this host got its master key back from the registry',
    fields: {
      table: 'the registry’s table',
      generation: 'the one that seals',
      fingerprint: 'tells that key from another',
    },
    audit: 'success',
  },
  'master-key.change-began': {
    level: 'info',
    summary: 'a new master key was made; from here on everything is sealed under it',
    fields: {
      from: 'the generation before',
      to: 'the new generation',
      keyArn: 'the KMS key that wraps the new one',
    },
    audit: 'success',
  },
  'master-key.change-resumed': {
    level: 'info',
    summary: 'a change of the master key that was interrupted goes on',
    fields: { from: 'the generation before', to: 'the new generation' },
    audit: 'success',
  },
  'master-key.changed': {
    level: 'info',
    summary: 'every sealed file was opened again under this generation of the master key, which is alone now',
    fields: {
      generation: 'its number',
      fingerprint: 'which key it is',
      files: 'sealed files',
      isBack: 'true when the change was given up',
    },
    audit: 'success',
  },
} as const satisfies LogEventTable;

export const keysEvent = logEventsOf(keysLogEvents);
