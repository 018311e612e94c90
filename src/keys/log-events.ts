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
  'key.retired-used': {
    level: 'warn',
    summary: 'something was opened with a retired key: seal it again under the binding key',
    fields: { keyArn: 'the retired key that opened it' },
  },
  'key.rewrapped': {
    level: 'info',
    summary: 'a data key that a retired key had wrapped is wrapped by the binding key now',
    fields: { keyArn: 'the binding key', retiredKeyArn: 'the key that wrapped it before' },
    audit: 'success',
  },
  'key.rewrap-failed': {
    level: 'warn',
    summary:
      'a data key that a retired key wrapped could not be wrapped by the binding key: keep the retired one in keys.trustedKeys',
    fields: { keyArn: 'the binding key', retiredKeyArn: 'the key that still wraps it', error: 'why' },
    audit: 'failure',
  },
} as const satisfies LogEventTable;

export const keysEvent = logEventsOf(keysLogEvents);
