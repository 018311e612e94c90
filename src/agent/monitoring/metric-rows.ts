import type { LogEventTable } from '../../base/log-events.ts';
import type { SourceStatus } from '../../events/status.ts';
import { logEventTable } from '../log-events.ts';
import type { AgentState, AgentStatus } from './status.ts';

/** What the numbers are read from. */
export interface Seen {
  readonly status: AgentStatus;
  readonly process: ProcessUsage;
}

export interface ProcessUsage {
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly openFiles: number;
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric: what Prometheus is told of it, and where its numbers come from. */
export interface MetricRow {
  readonly type: 'counter' | 'gauge';
  /** What it counts or measures: a fact, no full stop. */
  readonly help: string;
  /** Each label's meaning. Its values are bounded by the config or by this program, and name no secret. */
  readonly labels?: Readonly<Record<string, string>>;
  /** None where there is nothing to say: a time that never was is absent, not 1970. */
  readonly samples: (seen: Seen) => readonly Sample[];
}

const states: readonly AgentState[] = ['starting', 'ready', 'degraded', 'stopping'];

const consumerLabel = { consumer: 'its name in `credentialEndpoints.consumers`' };
const sourceLabel = { source: 'name of the source in `events.sources`' };

/** Every metric by its name. The reference page is made from it. */
export const metricRows: Readonly<Record<string, MetricRow>> = {
  gatehouse_build_info: {
    type: 'gauge',
    help: 'Always 1; which program this is',
    labels: { version: 'of Gatehouse', node: 'version of Node' },
    samples: ({ status }) => [{ labels: { version: status.version, node: process.version }, value: 1 }],
  },
  gatehouse_state: {
    type: 'gauge',
    help: '1 for the state that the agent is in, 0 for the others',
    labels: { state: states.map((state) => `\`${state}\``).join(', ') },
    samples: ({ status }) =>
      states.map((state) => ({ labels: { state }, value: flag(status.state === state) })),
  },
  gatehouse_failing_parts: {
    type: 'gauge',
    help: 'Parts of the agent that fail; gatehouse status says which',
    samples: ({ status }) => one(status.failing.length),
  },
  gatehouse_log_events_total: {
    type: 'counter',
    help: 'How often each log event happened, whether or not it was written',
    labels: { event: 'its name, see [log events](log-events.md)', level: 'its level' },
    samples: ({ status }) => logEventSamples(status.counters, logEventTable),
  },

  gatehouse_credentials_expiration_timestamp_seconds: {
    type: 'gauge',
    help: 'When the credentials in hand expire; absent where they do not, or there are none',
    samples: ({ status }) => time(status.credentials.expiration),
  },
  gatehouse_key_material_expiration_timestamp_seconds: {
    type: 'gauge',
    help: 'When the imported material of the binding key expires; absent where it does not',
    samples: ({ status }) => time(status.bindingKey?.materialExpiresAt),
  },
  gatehouse_credentials_renewed_timestamp_seconds: {
    type: 'gauge',
    help: 'When the credentials in hand were loaded',
    samples: ({ status }) => time(status.credentials.renewedAt),
  },
  gatehouse_certificate_expiration_timestamp_seconds: {
    type: 'gauge',
    help: 'When the certificate of this host expires; absent where its identity is none',
    samples: ({ status }) => time(status.certificate?.expires),
  },
  gatehouse_credentials_failing: {
    type: 'gauge',
    help: '1 while credentials cannot be obtained or renewed',
    samples: ({ status }) => one(flag(status.credentials.failing !== undefined)),
  },
  gatehouse_credentials_denied: {
    type: 'gauge',
    help: '1 while AWS denies the credentials in hand, and newer ones too',
    samples: ({ status }) => one(flag(status.credentials.denied !== undefined)),
  },
  gatehouse_clock_skew_seconds: {
    type: 'gauge',
    help: 'How far the clock of AWS is ahead of that of this host, negative when behind; 0 while they agree',
    samples: ({ status }) => one(status.clockSkewSeconds ?? 0),
  },

  gatehouse_config_applied_timestamp_seconds: {
    type: 'gauge',
    help: 'When the gateway config in effect was applied',
    samples: ({ status }) => time(status.config?.appliedAt),
  },
  gatehouse_config_read_timestamp_seconds: {
    type: 'gauge',
    help: 'When the gateway config was last read and found good, changed or not',
    samples: ({ status }) => time(status.config?.readAt),
  },
  gatehouse_config_refused: {
    type: 'gauge',
    help: '1 while a newer gateway config cannot be read or is refused',
    samples: ({ status: { config } }) => (config ? one(flag(config.refused !== undefined)) : []),
  },
  gatehouse_config_last_known_good_in_use: {
    type: 'gauge',
    help: '1 while the agent runs by the sealed copy of its gateway config, for want of what Secrets Manager has',
    samples: ({ status: { config } }) => (config ? one(flag(config.lastKnownGood !== undefined)) : []),
  },
  gatehouse_config_copy_sealed_timestamp_seconds: {
    type: 'gauge',
    help: 'When the sealed copy of the gateway config on this host was written; absent where there is none',
    samples: ({ status }) => time(status.configCopy?.sealedAt),
  },
  gatehouse_config_copy_failing: {
    type: 'gauge',
    help: '1 while the version in use cannot be kept as a sealed copy; absent where none is to be kept',
    samples: ({ status: { configCopy } }) =>
      configCopy === undefined || configCopy.notKept !== undefined
        ? []
        : one(flag(configCopy.failing !== undefined)),
  },
  gatehouse_config_restart_needed: {
    type: 'gauge',
    help: '1 while a change of the gateway config waits for a restart',
    samples: ({ status: { config } }) => (config ? one(flag(config.restartNeeded.length > 0)) : []),
  },

  gatehouse_secrets: {
    type: 'gauge',
    help: 'Secrets of this host',
    labels: { state: '`ok`, or `failing` when the last read failed, with or without an older value in use' },
    samples: ({ status }) => okAndFailing(status.secrets),
  },
  gatehouse_secrets_read_timestamp_seconds: {
    type: 'gauge',
    help: 'When the secret that was not read for longest was last read',
    samples: ({ status }) => oldest(status.secrets.map(({ readAt }) => readAt)),
  },
  gatehouse_deliveries: {
    type: 'gauge',
    help: 'Deliveries of this host',
    labels: { state: '`ok`, or `failing` when the last attempt failed' },
    samples: ({ status }) => okAndFailing(status.deliveries),
  },

  gatehouse_consumer_reads_total: {
    type: 'counter',
    help: 'Requests for credentials that were answered with some',
    labels: consumerLabel,
    samples: ({ status }) =>
      status.consumers.map(({ name, reads }) => ({ labels: { consumer: name }, value: reads })),
  },
  gatehouse_consumer_refused_total: {
    type: 'counter',
    help: 'Requests for credentials that were refused',
    samples: ({ status }) => one(status.refusedReads),
  },
  gatehouse_consumer_failing: {
    type: 'gauge',
    help: '1 while a consumer has no credentials, or a way to them cannot be opened',
    labels: consumerLabel,
    samples: ({ status }) =>
      status.consumers.map(({ name, failing }) => ({
        labels: { consumer: name },
        value: flag(failing !== undefined),
      })),
  },
  gatehouse_consumer_credentials_expiration_timestamp_seconds: {
    type: 'gauge',
    help: 'When the credentials of a consumer expire; absent while there are none',
    labels: consumerLabel,
    samples: ({ status }) =>
      status.consumers.flatMap(({ name, credentials }) =>
        time(credentials.expiration).map(({ value }) => ({ labels: { consumer: name }, value })),
      ),
  },

  gatehouse_source_bytes_total: {
    type: 'counter',
    help: 'Bytes that a source has read',
    labels: sourceLabel,
    samples: ofSources(({ bytes }) => bytes),
  },
  gatehouse_source_events_total: {
    type: 'counter',
    help: 'Events that a source has read',
    labels: sourceLabel,
    samples: ofSources(({ events }) => events),
  },
  gatehouse_source_lag_bytes: {
    type: 'gauge',
    help: 'Bytes that are there and not read yet',
    labels: sourceLabel,
    samples: ofSources(({ lagBytes }) => lagBytes),
  },
  gatehouse_source_waiting_events: {
    type: 'gauge',
    help: 'Events that are read and not in the spool yet',
    labels: sourceLabel,
    samples: ofSources(({ waitingEvents }) => waitingEvents),
  },
  gatehouse_source_items: {
    type: 'gauge',
    help: 'Files being read, or records waiting',
    labels: sourceLabel,
    samples: ofSources(({ items }) => items),
  },
  gatehouse_source_escaped_lines_total: {
    type: 'counter',
    help: 'Lines that were not UTF-8 and had their wrong bytes escaped',
    labels: sourceLabel,
    samples: ofSources(({ escapedLines }) => escapedLines),
  },
  gatehouse_source_split_events_total: {
    type: 'counter',
    help: 'Events that are a part of a line too long for one',
    labels: sourceLabel,
    samples: ofSources(({ splitEvents }) => splitEvents),
  },
  gatehouse_source_unannounced_changes_total: {
    type: 'counter',
    help: 'Times that a file had grown and the system had told of no change: it was found by a look from time to time. Many where a file system tells nothing (NFS) or more folders are watched than may be',
    labels: sourceLabel,
    samples: ({ status: { events } }) =>
      (events?.sources ?? []).flatMap(({ name, unannouncedChanges: value }) =>
        value === undefined ? [] : [{ labels: { source: name }, value }],
      ),
  },

  gatehouse_spool_bytes: {
    type: 'gauge',
    help: 'Bytes in the spool',
    samples: ({ status: { events } }) => (events ? one(events.spool.bytes) : []),
  },
  gatehouse_spool_max_bytes: {
    type: 'gauge',
    help: 'Bytes that the spool may hold; sources pause there',
    samples: ({ status: { events } }) => (events ? one(events.spool.bytesMax) : []),
  },
  gatehouse_spool_batches: {
    type: 'gauge',
    help: 'Batches in the spool',
    samples: ({ status: { events } }) => (events ? one(events.spool.batches) : []),
  },
  gatehouse_spool_full: {
    type: 'gauge',
    help: '1 while something waits for room in the spool',
    samples: ({ status: { events } }) => (events ? one(flag(events.spool.isFull)) : []),
  },
  gatehouse_spool_failing: {
    type: 'gauge',
    help: '1 while the spool cannot be written',
    samples: ({ status: { events } }) => (events ? one(flag(events.spool.isFailing)) : []),
  },
  gatehouse_sent_events_total: {
    type: 'counter',
    help: 'Events that CloudWatch Logs has taken',
    samples: ({ status: { events } }) => (events ? one(events.sent.events) : []),
  },
  gatehouse_sent_bytes_total: {
    type: 'counter',
    help: 'Bytes that CloudWatch Logs has taken, as it counts them',
    samples: ({ status: { events } }) => (events ? one(events.sent.bytes) : []),
  },
  gatehouse_sent_batches_total: {
    type: 'counter',
    help: 'Batches that CloudWatch Logs has taken',
    samples: ({ status: { events } }) => (events ? one(events.sent.batches) : []),
  },
  gatehouse_sent_timestamp_seconds: {
    type: 'gauge',
    help: 'When CloudWatch Logs last took a batch; absent before the first',
    samples: ({ status: { events } }) =>
      events?.sent.lastAtMs === undefined ? [] : one(events.sent.lastAtMs / 1000),
  },
  gatehouse_refused_events_total: {
    type: 'counter',
    help: 'Events that CloudWatch Logs refused; they are in the dead letter',
    samples: ({ status: { events } }) => (events ? one(events.sent.refused) : []),
  },
  gatehouse_send_failures_total: {
    type: 'counter',
    help: 'Tries to send that failed',
    samples: ({ status: { events } }) => (events ? one(events.sent.failures) : []),
  },
  gatehouse_failing_streams: {
    type: 'gauge',
    help: 'Log streams whose next batch was not taken at the last try',
    samples: ({ status: { events } }) => (events ? one(events.failingStreams) : []),
  },
  gatehouse_dead_letter_events: {
    type: 'gauge',
    help: 'Events in the dead letter',
    samples: ({ status: { events } }) => (events ? one(events.deadLetter.events) : []),
  },
  gatehouse_dead_letter_bytes: {
    type: 'gauge',
    help: 'Bytes in the dead letter',
    samples: ({ status: { events } }) => (events ? one(events.deadLetter.bytes) : []),
  },
  gatehouse_dropped_events_total: {
    type: 'counter',
    help: 'Events that were lost because the spool was full, as events.spool.whenFull says',
    samples: ({ status: { events } }) => (events ? one(events.dropped?.events ?? 0) : []),
  },
  gatehouse_outdated_events_total: {
    type: 'counter',
    help: 'Events that waited too long and were moved to the dead letter',
    samples: ({ status: { events } }) => (events?.outdated ? one(events.outdated.events) : []),
  },
  gatehouse_redacted_places_total: {
    type: 'counter',
    help: 'Places where a secret of this host was taken out of what is shipped',
    samples: ({ status: { events } }) => (events?.redaction ? one(events.redaction.redacted) : []),
  },
  gatehouse_redacted_pattern_places_total: {
    type: 'counter',
    help: 'Places that matched a pattern and were taken out of what is shipped',
    labels: { pattern: 'its name in `events.redaction.patterns`' },
    samples: ({ status: { events } }) =>
      Object.entries(events?.redaction?.patterns ?? {}).map(([pattern, value]) => ({
        labels: { pattern },
        value,
      })),
  },
  gatehouse_redaction_secrets: {
    type: 'gauge',
    help: 'Secrets of this host that are looked for in what is shipped',
    labels: { state: '`sought`, or `left_out`; gatehouse status says which and why' },
    samples: ({ status: { events } }) =>
      events?.redaction === undefined
        ? []
        : [
            { labels: { state: 'sought' }, value: events.redaction.secrets },
            { labels: { state: 'left_out' }, value: Object.keys(events.redaction.leftOut).length },
          ],
  },
  gatehouse_audit_sequence: {
    type: 'gauge',
    help: 'Number of the newest audit record of a chain that is durable',
    labels: sourceLabel,
    samples: ({ status: { events } }) =>
      (events?.audit ?? []).flatMap(({ source, sequence }) =>
        sequence === undefined ? [] : [{ labels: { source }, value: sequence }],
      ),
  },
  gatehouse_audit_lost_records_total: {
    type: 'counter',
    help: 'Audit records that found no room and are lost',
    labels: sourceLabel,
    samples: ({ status: { events } }) =>
      (events?.audit ?? []).map(({ source, lost }) => ({ labels: { source }, value: lost })),
  },

  process_start_time_seconds: {
    type: 'gauge',
    help: 'When the agent was started',
    samples: ({ status }) => time(status.startedAt),
  },
  process_cpu_seconds_total: {
    type: 'counter',
    help: 'User and system CPU time of all threads',
    samples: ({ process: { cpuSeconds } }) => one(cpuSeconds),
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    help: 'Resident memory',
    samples: ({ process: { residentBytes } }) => one(residentBytes),
  },
  process_open_fds: {
    type: 'gauge',
    help: 'Open files and sockets',
    samples: ({ process: { openFiles } }) => one(openFiles),
  },
};

function one(value: number): readonly Sample[] {
  return [{ value }];
}

function flag(isSo: boolean): number {
  return isSo ? 1 : 0;
}

/** An ISO 8601 time in seconds since 1970. */
function time(text: string | undefined): readonly Sample[] {
  return text === undefined ? [] : one(Date.parse(text) / 1000);
}

/** Absent as long as one of them never was. */
function oldest(times: readonly (string | undefined)[]): readonly Sample[] {
  const known = times.filter((text) => text !== undefined);
  return known.length === 0 || known.length < times.length ? [] : time(known.toSorted()[0]);
}

function okAndFailing(parts: readonly { readonly failing?: string }[]): readonly Sample[] {
  const failing = parts.filter((part) => part.failing !== undefined).length;
  return [
    { labels: { state: 'ok' }, value: parts.length - failing },
    { labels: { state: 'failing' }, value: failing },
  ];
}

function ofSources(value: (source: SourceStatus) => number): MetricRow['samples'] {
  return ({ status }) =>
    (status.events?.sources ?? []).map((source) => ({
      labels: { source: source.name },
      value: value(source),
    }));
}

/** Also those that never happened: of a counter that appears at its first event, Prometheus sees no increase. */
function logEventSamples(counters: AgentStatus['counters'], table: LogEventTable): readonly Sample[] {
  return Object.entries(table).map(([event, { level }]) => ({
    labels: { event, level },
    value: counters[event] ?? 0,
  }));
}
