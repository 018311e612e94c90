import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

export const systemLogEvents = {
  'supervisor.unreachable': {
    level: 'warn',
    summary: 'systemd cannot be told how the agent is; a unit of Type=notify will give up on it',
    fields: { socket: 'NOTIFY_SOCKET', error: 'what failed', exitCode: 'of systemd-notify' },
  },
  'supervisor.reachable': {
    level: 'info',
    summary: 'systemd can be told again how the agent is',
    fields: { socket: 'NOTIFY_SOCKET' },
  },
} as const satisfies LogEventTable;

export const systemEvent = logEventsOf(systemLogEvents);
