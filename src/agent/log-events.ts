import { apiLogEvents } from '../api/log-events.ts';
import { type LogEventTable, logEventsOf } from '../base/log-events.ts';
import { configLogEvents } from '../config/log-events.ts';
import { deliveryLogEvents } from '../delivery/log-events.ts';
import { eventsLogEvents } from '../events/log-events.ts';
import { identityLogEvents } from '../identity/log-events.ts';
import { keysLogEvents } from '../keys/log-events.ts';
import { secretsLogEvents } from '../secrets/log-events.ts';
import { systemLogEvents } from '../system/log-events.ts';

export const agentLogEvents = {
  'agent.starting': {
    level: 'info',
    summary: 'the agent is starting',
    fields: { name: 'the host’s name', version: 'the program’s version', pid: 'process id' },
  },
  'agent.ready': {
    level: 'info',
    summary: 'all is up',
    audit: 'success',
    fields: {
      name: 'the host’s name',
      hostId: 'the host’s own id',
      configVersion: 'version id of the gateway config',
      state: 'ready, or degraded when a secret or delivery failed',
      startMs: 'milliseconds since the process started',
    },
  },
  'agent.stopping': {
    level: 'info',
    summary: 'the agent is stopping',
    audit: 'success',
    fields: { cause: 'the name of the signal that asked for it' },
  },
  'agent.stopped': {
    level: 'info',
    summary: 'the agent has stopped',
    fields: {},
  },
  'agent.failed': {
    level: 'error',
    summary: 'the agent cannot go on',
    audit: 'failure',
    fields: { error: 'what failed' },
  },
  'agent.reload-requested': {
    level: 'info',
    summary: 'a reload was asked for',
    fields: { by: 'signal, control socket' },
  },
  'agent.log-level-changed': {
    // As severe as it is so that it is written at any level below error, and said whichever way it changes.
    level: 'warn',
    summary: 'which log events are written was changed in the running agent',
    audit: 'success',
    fields: {
      logLevel: 'the least severe level from now on',
      before: 'what it was',
      by: 'signal, control socket',
    },
  },
  'agent.audit-lost': {
    level: 'error',
    summary: 'audit records found no room to wait and are lost',
    audit: 'failure',
    fields: { count: 'records' },
  },
  'consumer.read': {
    level: 'info',
    summary: 'a consumer was given something in this version for the first time',
    audit: 'success',
    fields: {
      consumer: 'its name in the gateway config',
      what: '`secret NAME` or `credentials`',
      version: 'of a secret its version, of credentials their access key id',
    },
  },
  'consumer.read-again': {
    level: 'debug',
    summary: 'how often a consumer was given the same once more, told once a minute',
    audit: 'success',
    fields: {
      consumer: 'its name in the gateway config',
      what: '`secret NAME` or `credentials`',
      version: 'of a secret its version, of credentials their access key id',
      count: 'times since it was last told',
      withinMs: 'the time in which they were counted, milliseconds',
    },
  },
  'clock.skewed': {
    level: 'warn',
    summary: 'this host’s clock and AWS’s are apart; signatures and expiries are corrected for it',
    fields: { seconds: 'how far AWS is ahead of this host, negative when behind' },
  },
  'clock.right': {
    level: 'info',
    summary: 'this host’s clock and AWS’s agree again',
    fields: {},
  },
  'watchdog.withheld': {
    level: 'error',
    summary: 'systemd gets no sign of life, and will restart the agent unless this passes',
    fields: { reason: 'wedged, no answer', error: 'what failed' },
  },
} as const satisfies LogEventTable;

export const agentEvent = logEventsOf(agentLogEvents);

/** Every log event of the program. The reference page is made from it. */
export const logEventTable: LogEventTable = {
  ...agentLogEvents,
  ...apiLogEvents,
  ...configLogEvents,
  ...deliveryLogEvents,
  ...eventsLogEvents,
  ...identityLogEvents,
  ...keysLogEvents,
  ...secretsLogEvents,
  ...systemLogEvents,
};
