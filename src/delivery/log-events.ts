import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

const fields = { delivery: 'where to: the path of the file', secret: 'the secret’s name' };

export const deliveryLogEvents = {
  'delivery.begun': {
    level: 'debug',
    summary: 'a secret is about to be handed over; said first where audit.whenFull is deny',
    fields: { ...fields, version: 'the version to hand over' },
    audit: 'success',
  },
  'delivery.written': {
    level: 'info',
    summary: 'a secret was handed over',
    fields: { ...fields, version: 'the version handed over' },
    audit: 'success',
  },
  'delivery.current': {
    level: 'debug',
    summary: 'a secret was already in place as it should be',
    fields: { ...fields, version: 'the version in place' },
  },
  'delivery.failed': {
    level: 'error',
    summary: 'a secret could not be handed over; it is tried again',
    fields: { ...fields, error: 'why', deliveredVersion: 'the version that is still in place, if any' },
    audit: 'failure',
  },
  'delivery.recovered': {
    level: 'info',
    summary: 'a secret can be handed over again',
    fields: { ...fields, version: 'the version in place' },
  },
  'delivery.removed': {
    level: 'info',
    summary: 'a delivery left the config, and what it had handed over was removed',
    fields: { ...fields, version: 'the version that was in place' },
    audit: 'success',
  },
  'delivery.remove-failed': {
    level: 'error',
    summary: 'a delivery left the config, but what it had handed over could not be removed',
    fields: {
      ...fields,
      error: 'why; it is tried again where that may help',
      version: 'the version in place',
    },
    audit: 'failure',
  },
} as const satisfies LogEventTable;

export const deliveryEvent = logEventsOf(deliveryLogEvents);
