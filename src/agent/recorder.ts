import type { Clock } from '../base/clock.ts';
import type { Log, LogEvent, LogFieldValue } from '../base/log-events.ts';
import type { Logger } from '../base/logger.ts';
import { agentEvent } from './log-events.ts';

/** One entry of the agent's audit: what happened, when, how it ended; never a value. */
export interface AuditRecord {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly event: string;
  readonly outcome: 'success' | 'failure';
  /** The access key that was in use, as CloudTrail has it; absent before there was one. */
  readonly accessKeyId?: string;
  /** The name of the role session that the key belongs to, where the source of the credentials knows it. */
  readonly sessionName?: string;
  readonly fields: Readonly<Record<string, LogFieldValue>>;
}

/** Takes every log event of the agent: writes it, counts it and, where its row says so, audits it. */
export interface Recorder {
  readonly log: Log;
  /** How often each event happened since the start, by name. */
  counters(): Readonly<Record<string, number>>;
  /** The newest warnings and errors, oldest first, `recentErrorsMax` at most. */
  recentErrors(): readonly RecentError[];
  /**
   * Gives audit records to `sink` from now on, those that waited first. `undefined` makes them wait again, at most
   * `auditPendingMax` of them: the oldest beyond that are lost, which is said and audited once there is a sink.
   */
  auditTo(sink: ((record: AuditRecord) => void) | undefined): void;
}

/** A warning or an error as `status` remembers it: what happened, not to what. */
export interface RecentError {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly event: string;
  readonly level: 'warn' | 'error';
  /** Of the error behind it, where there was one. */
  readonly code?: string;
}

export const recentErrorsMax = 10;

/** Audit records that wait for the events worker. Fewer than may be under way to it, for they go there all at once. */
export const auditPendingMax = 5_000;

export interface RecorderOptions {
  readonly logger: Pick<Logger, 'log'>;
  readonly clock: Pick<Clock, 'now'>;
  /** The access key in use and its session; nothing before there is one. */
  readonly caller: () => Pick<AuditRecord, 'accessKeyId' | 'sessionName'>;
}

export function createRecorder({ logger, clock, caller }: RecorderOptions): Recorder {
  const counts = new Map<string, number>();
  const recent: RecentError[] = [];
  let pending: AuditRecord[] = [];
  let lost = 0;
  let sink: ((record: AuditRecord) => void) | undefined;

  const audit = (event: LogEvent): void => {
    if (event.audit === undefined) return;
    const { accessKeyId, sessionName } = caller();
    const record: AuditRecord = {
      time: clock.now().toISOString(),
      event: event.name,
      outcome: event.audit,
      ...(accessKeyId === undefined ? {} : { accessKeyId }),
      ...(sessionName === undefined ? {} : { sessionName }),
      fields: event.fields,
    };
    if (sink !== undefined) {
      sink(record);
      return;
    }
    if (pending.length === auditPendingMax) {
      pending.shift();
      lost += 1;
    }
    pending.push(record);
  };

  const remember = ({ name, level, fields, audit: outcome }: LogEvent): void => {
    // A success that is worth a warning, such as a log level that was changed, is no trouble.
    if ((level !== 'warn' && level !== 'error') || outcome === 'success') return;
    const { error } = fields;
    const isReport = typeof error === 'object' && error !== null && 'code' in error;
    const time = clock.now().toISOString();
    recent.push({ time, event: name, level, ...(isReport ? { code: error.code } : {}) });
    if (recent.length > recentErrorsMax) recent.shift();
  };

  const log = (event: LogEvent): void => {
    counts.set(event.name, (counts.get(event.name) ?? 0) + 1);
    remember(event);
    logger.log(event);
    audit(event);
  };

  return {
    log,
    counters: () => Object.fromEntries(counts),
    recentErrors: () => [...recent],
    auditTo(next) {
      sink = next;
      if (sink === undefined) return;
      const waited = pending;
      pending = [];
      const count = lost;
      lost = 0;
      if (count > 0) log(agentEvent('agent.audit-lost', { count }));
      for (const record of waited) sink(record);
    },
  };
}
