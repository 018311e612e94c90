import type { ErrorReport } from './errors.ts';

/** From the least severe on. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** One kind of thing that happens. The same row is the log line, the counter and, where it says so, the audit record. */
export interface LogEventRow {
  readonly level: LogLevel;
  /** What happened, without variables. */
  readonly summary: string;
  /** Each field's meaning, with its unit. */
  readonly fields: Readonly<Record<string, string>>;
  /** Set on what an auditor wants to see; says how the thing ended. */
  readonly audit?: 'success' | 'failure';
}

export type LogFieldValue = string | number | boolean | null | undefined | readonly string[] | ErrorReport;

/** Something that happened. Plain data: it crosses from the worker as it is. Its fields never hold a secret. */
export interface LogEvent {
  readonly name: string;
  readonly level: LogLevel;
  readonly summary: string;
  readonly fields: Readonly<Record<string, LogFieldValue>>;
  readonly audit?: 'success' | 'failure';
}

/** Where log events go. Rooms get one handed in and never know who listens. */
export type Log = (event: LogEvent) => void;

export type LogEventTable = Readonly<Record<string, LogEventRow>>;

/** Makes the log events of one room: `log(identityEvent('credentials.renewed', { source }))`. */
export function logEventsOf<Table extends LogEventTable>(table: Table) {
  return <Name extends keyof Table & string>(
    name: Name,
    fields: Readonly<Partial<Record<keyof Table[Name]['fields'], LogFieldValue>>>,
  ): LogEvent => {
    const row = table[name];
    if (row === undefined) throw new TypeError(`no log event ${name}`);
    const { level, summary, audit } = row;
    return { name, level, summary, fields, ...(audit === undefined ? {} : { audit }) };
  };
}
