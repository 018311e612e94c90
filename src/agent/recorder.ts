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
  /**
   * Gives audit records to `sink` from now on, those that waited first. `undefined` makes them wait again, at most
   * `auditPendingMax` of them: the oldest beyond that are lost, which is said and audited once there is a sink.
   */
  auditTo(sink: ((record: AuditRecord) => void) | undefined): void;
}

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

  const log = (event: LogEvent): void => {
    counts.set(event.name, (counts.get(event.name) ?? 0) + 1);
    logger.log(event);
    audit(event);
  };

  return {
    log,
    counters: () => Object.fromEntries(counts),
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
