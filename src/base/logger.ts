import { pino } from 'pino';
import type { Log, LogEvent, LogFieldValue, LogLevel } from './log-events.ts';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Lines for people instead of JSON lines. */
  readonly pretty: boolean;
  /** Takes whole lines, newline included; must not buffer what an exit would lose. */
  write(line: string): void;
}

export interface Logger {
  readonly log: Log;
  level(): LogLevel;
  /** Changes which events are written from now on. */
  setLevel(level: LogLevel): void;
}

/** Writes log events as lines: `level`, `time` (ISO 8601), `event`, `message`, and the event's fields. */
export function createLogger(options: LoggerOptions): Logger {
  let { level } = options;
  const write = (line: string): void => options.write(options.pretty ? prettyLine(line) : line);
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );

  return {
    log: (event: LogEvent) => logger[event.level]({ event: event.name, ...event.fields }, event.summary),
    level: () => level,
    setLevel(next) {
      level = next;
      logger.level = next;
    },
  };
}

const dim = '\u001b[2m';
const reset = '\u001b[0m';
const colours: Readonly<Record<string, string>> = {
  debug: dim,
  info: '\u001b[36m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};

interface Line {
  readonly level: string;
  readonly time: string;
  readonly event: string;
  readonly message: string;
  readonly [field: string]: LogFieldValue;
}

function prettyLine(line: string): string {
  const parsed: Line = JSON.parse(line);
  const { level, time, event, message, ...fields } = parsed;
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${prettyValue(value)}`);
  const said = `${dim}${time.slice(11, 23)}${reset} ${colours[level] ?? ''}${event}${reset} ${message}`;
  return `${said} ${dim}${shown.join(' ')}${reset}\n`;
}

function prettyValue(value: LogFieldValue): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return 'code' in value ? value.code : value.join(',');
}
