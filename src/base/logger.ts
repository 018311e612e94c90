import { type Log, type LogEvent, type LogFieldValue, type LogLevel, logLevels } from './log-events.ts';

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

  return {
    log({ name: event, level: own, summary: message, fields }: LogEvent) {
      if (logLevels.indexOf(own) < logLevels.indexOf(level)) return;
      const time = new Date().toISOString();
      const line = `${JSON.stringify({ level: own, time, event, ...fields, message })}\n`;
      options.write(options.pretty ? prettyLine(line) : line);
    },
    level: () => level,
    setLevel(next) {
      level = next;
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
