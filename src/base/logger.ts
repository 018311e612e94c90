import { type Log, type LogEvent, type LogFieldValue, type LogLevel, logLevels } from './log-events.ts';

/** JSON lines for programs; lines for people, plain or with the colours of a terminal. */
export type LogForm = 'json' | 'plain' | 'coloured';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly form: LogForm;
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
      options.write(options.form === 'json' ? line : prettyLine(line, options.form === 'coloured'));
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

function prettyLine(line: string, isColoured: boolean): string {
  const parsed: Line = JSON.parse(line);
  const { level, time, event, message, ...fields } = parsed;
  const shown = Object.entries(fields).map(([name, value]) => `${name}=${prettyValue(value)}`);
  const clockTime = time.slice(11, 23);
  // Without colour the level is a word.
  if (!isColoured) return `${[clockTime, level.padEnd(5), event, message, ...shown].join(' ')}\n`;
  const said = `${dim}${clockTime}${reset} ${colours[level] ?? ''}${event}${reset} ${message}`;
  return `${said} ${dim}${shown.join(' ')}${reset}\n`;
}

function prettyValue(value: LogFieldValue): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return 'code' in value ? value.code : value.join(',');
}
