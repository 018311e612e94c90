import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

const open = 'files and sockets that are open';
const max = 'how many may be (LimitNOFILE)';

export const systemLogEvents = {
  'files.short': {
    level: 'error',
    summary:
      'nearly as many files and sockets are open as may be: beyond that connections are dropped and files not read',
    fields: { open, max },
  },
  'files.enough': {
    level: 'info',
    summary: 'there are files and sockets again',
    fields: { open, max },
  },
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
