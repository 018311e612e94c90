import { apiLogEvents } from '../api/log-events.ts';
import { type LogEventTable, logEventsOf } from '../base/log-events.ts';
import { configLogEvents } from '../config/log-events.ts';
import { deliveryLogEvents } from '../delivery/log-events.ts';
import { eventsLogEvents } from '../events/log-events.ts';
import { identityLogEvents } from '../identity/log-events.ts';
import { keysLogEvents } from '../keys/log-events.ts';
import { secretsLogEvents } from '../secrets/log-events.ts';
import { systemLogEvents } from '../system/log-events.ts';

const consumer = 'its name in the gateway config; absent where all consumers share the way';
const way = 'container, token, socket, metadata';

const profile = 'the profile in it';

export const agentLogEvents = {
  'agent.starting': {
    level: 'info',
    summary: 'the agent is starting',
    fields: { name: 'the host’s name', version: 'the program’s version', pid: 'process id' },
  },
  'agent.start-waits': {
    level: 'warn',
    summary: 'the start waits for something that answers late, or not at all',
    fields: {
      what: 'what it waits for',
      withinMs:
        'milliseconds for which it waits in all: then the start is given up, or goes on without its secrets',
    },
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
  'aws.call-waits': {
    level: 'warn',
    summary:
      'a call to AWS is late, or the credentials for it are; of one service it is said once until it is quick again',
    fields: {
      service: 'the service, as the AWS SDK names it',
      operation: 'what is asked of it',
      afterMs: 'how long it has been waited for, milliseconds',
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
  'credentials-file.written': {
    level: 'info',
    summary: 'a profile of the shared credentials file has new credentials',
    fields: { file: 'its path', profile, expiration: 'when they expire, ISO 8601' },
  },
  'credentials-file.failed': {
    level: 'error',
    summary: 'a profile of the shared credentials file cannot be supplied; it is tried again',
    fields: { file: 'its path', profile, error: 'why' },
  },
  'consumer.opened': {
    level: 'info',
    summary: 'a way to get credentials is open to a consumer',
    fields: { consumer, way, address: 'where: a path, or an address with its port' },
  },
  'consumer.open-failed': {
    level: 'error',
    summary: 'a way to get credentials cannot be opened to a consumer; it is tried again',
    fields: { consumer, way, error: 'why' },
    audit: 'failure',
  },
  'consumer.closed': {
    level: 'info',
    summary: 'a way to get credentials is closed to a consumer: it has left the config, or the agent stops',
    fields: { consumer, way },
  },
  'consumer.host-role': {
    level: 'warn',
    summary: "a consumer is given the host's own role, and with it may read every secret of this host",
    fields: { consumer },
    audit: 'success',
  },
  'consumer.token-rotated': {
    level: 'info',
    summary: 'a consumer got a new token for the container endpoint',
    fields: { consumer },
    audit: 'success',
  },
  'consumer.refused': {
    level: 'warn',
    summary: 'requests for credentials were refused; of each kind one record a minute',
    fields: {
      consumer: 'the consumer whose credentials were asked for, where the request says it',
      way,
      reason: 'forwarded, foreign host, web page, no token, wrong token, unknown consumer',
      count: 'how many since the last record of this kind',
    },
    audit: 'failure',
  },
  'workload.started': {
    level: 'info',
    summary: 'the command of gatehouse exec was started',
    fields: {
      command: 'its name, without arguments',
      pid: 'its process',
      secrets: 'environment variables that have secrets',
    },
    audit: 'success',
  },
  'workload.killed': {
    level: 'warn',
    summary: 'the command of gatehouse exec did not end when it was asked to, and was killed',
    fields: { pid: 'its process', afterMs: 'how long it was waited for' },
  },
  'workload.ended': {
    level: 'info',
    summary: 'the command of gatehouse exec ended; the agent ends with it',
    fields: { pid: 'its process', exitCode: 'its exit code, or 128 + n when signal n ended it' },
    audit: 'success',
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
