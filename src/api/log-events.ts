import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

export const apiLogEvents = {
  'api.listening': {
    level: 'info',
    summary: 'health and metrics are served over HTTP, to every local user',
    fields: { address: 'the loopback address with its port' },
  },
  'api.listen-failed': {
    level: 'error',
    summary: 'the address for health and metrics cannot be listened on; it is tried again',
    fields: { address: 'as configured', error: 'why' },
  },
} as const satisfies LogEventTable;

export const apiEvent = logEventsOf(apiLogEvents);
