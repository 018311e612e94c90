import { pino } from 'pino';
import type { ErrorReport } from './errors.ts';
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
  /** Changes which events are written from now on. */
  setLevel(level: LogLevel): void;
}

/** Writes log events as lines: `level`, `time` (ISO 8601), `event`, `message`, and the event's fields. */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.pretty ? (line: string) => options.write(prettyLine(line)) : options.write;
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  );

  return {
    log: (event: LogEvent) => logger[event.level]({ event: event.name, ...event.fields }, event.summary),
    setLevel(level) {
      logger.level = level;
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

function prettyLine(line: string): string {
  const { level, time, event, message, ...fields } = JSON.parse(line) as Record<string, LogFieldValue>;
  const clock = String(time).slice(11, 23);
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${prettyValue(value)}`);
  const colour = colours[String(level)] ?? '';
  return `${dim}${clock}${reset} ${colour}${String(event)}${reset} ${String(message)} ${dim}${shown.join(' ')}${reset}\n`;
}

function prettyValue(value: LogFieldValue): string {
  if (Array.isArray(value)) return value.join(',');
  if (typeof value === 'object' && value !== null) return (value as ErrorReport).code;
  return String(value);
}
