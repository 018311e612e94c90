/** The time that a text has in it, in milliseconds since 1970; undefined when there is none. */
export type ReadTime = (text: string, nowMs: number) => number | undefined;

export interface TimestampFormat {
  /** `iso`, `epoch-s`, `epoch-ms`, `epoch-us`, `epoch-ns`, or a pattern as strptime has them. */
  readonly format: string;
  /** Of times that do not say theirs: `UTC`, `+02:00`, `Europe/Berlin`. */
  readonly zone: string;
}

/** A time is looked for in this much of a line. */
const searchedMax = 1_024;

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] as const;
const monthNames = '[A-Z][a-z]{2}';
const zoneText = '(?:Z|UTC|GMT|[+-]\\d{2}:?\\d{2})';

/** What each directive stands for, as a group of its own name. */
const directives: Readonly<Record<string, string>> = {
  Y: '(?<year>\\d{4})',
  y: '(?<shortYear>\\d{2})',
  m: '(?<month>\\d{1,2})',
  b: `(?<monthName>${monthNames})`,
  B: '(?<monthName>[A-Z][a-z]{2,8})',
  d: '(?<day>\\d{1,2})',
  e: ' ?(?<day>\\d{1,2})',
  j: '(?<dayOfYear>\\d{1,3})',
  H: '(?<hour>\\d{1,2})',
  I: '(?<hour>\\d{1,2})',
  M: '(?<minute>\\d{1,2})',
  S: '(?<second>\\d{1,2})',
  f: '(?<fraction>\\d{1,9})',
  L: '(?<fraction>\\d{3})',
  p: '(?<half>[AaPp][Mm])',
  z: `(?<zone>${zoneText})`,
  a: '[A-Z][a-z]{2}',
  A: '[A-Z][a-z]{5,8}',
  s: '(?<epoch>\\d{1,12})',
  '%': '%',
};
const shorthands: Readonly<Record<string, string>> = {
  T: '%H:%M:%S',
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
};

const iso =
  '(?<year>\\d{4})-(?<month>\\d{2})-(?<day>\\d{2})[T ](?<hour>\\d{2}):(?<minute>\\d{2})(?::(?<second>\\d{2})(?:[.,](?<fraction>\\d{1,9}))?)?' +
  `(?: ?(?<zone>${zoneText}))?`;

const epochs: Readonly<Record<string, number>> = {
  'epoch-s': 1000,
  'epoch-ms': 1,
  'epoch-us': 1e-3,
  'epoch-ns': 1e-6,
};

/** What is wrong with a format, or undefined. */
export function formatProblem(format: string): string | undefined {
  if (format === 'iso' || format in epochs) return undefined;
  if (!format.includes('%'))
    return `must be iso, ${Object.keys(epochs).join(', ')} or a pattern like %Y-%m-%d %H:%M:%S`;
  const names = [...expanded(format).matchAll(/%(.?)/gsu)].map(([, name = '']) => name);
  const unknown = names.find((name) => !(name in directives));
  if (unknown !== undefined)
    return `has %${unknown}, which is not known; there are %${Object.keys(directives).join(' %')}`;
  const groups = names.flatMap((name) => /\?<(\w+)>/u.exec(directives[name] ?? '')?.[1] ?? []);
  const twice = groups.find((name, index) => groups.indexOf(name) !== index);
  return twice === undefined ? undefined : `says the ${twice} twice`;
}

/** What is wrong with a zone, or undefined. */
export function zoneProblem(zone: string): string | undefined {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    return undefined;
  } catch {
    return 'must be a time zone: UTC, an offset as +02:00, or a name as Europe/Berlin';
  }
}

export function readTime({ format, zone }: TimestampFormat): ReadTime {
  const scale = epochs[format];
  if (scale !== undefined) return (text) => epochOf(text, scale);
  const pattern = RegExp(format === 'iso' ? iso : patternOf(format), 'u');
  const inZone = zoneReader(zone);
  const isIso = format === 'iso';
  return (text, nowMs) => {
    const known = isIso ? utcAtStart(text) : undefined;
    if (known !== undefined) return known;
    const { groups } = pattern.exec(text.slice(0, searchedMax)) ?? {};
    return groups === undefined ? undefined : timeOf(groups, inZone, nowMs);
  };
}

/** Where the parts of `2026-11-22T11:00:00` are. */
const isoPlaces = { month: 5, day: 8, hour: 11, minute: 14, second: 17, end: 19 } as const;
const isoMarks: readonly (readonly [at: number, marks: string])[] = [
  [4, '-'],
  [7, '-'],
  [10, 'T '],
  [13, ':'],
  [16, ':'],
];
const fractionDigitsMax = 9;

/**
 * The time of a text that begins as most lines do, `2026-11-22T11:00:00.123Z`; undefined where it is not just so, and
 * what the pattern finds is asked. Named groups cost ten times as much, most of it garbage.
 */
function utcAtStart(text: string): number | undefined {
  for (const [at, marks] of isoMarks) if (!marks.includes(text.charAt(at) || '?')) return undefined;
  const year = digitsAt(text, 0) * 100 + digitsAt(text, 2);
  const month = digitsAt(text, isoPlaces.month);
  const day = digitsAt(text, isoPlaces.day);
  const hour = digitsAt(text, isoPlaces.hour);
  const minute = digitsAt(text, isoPlaces.minute);
  const second = digitsAt(text, isoPlaces.second);
  // Not a number where one of them is not.
  const isTime =
    month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 60;
  if (!isTime || Number.isNaN(year)) return undefined;
  let at: number = isoPlaces.end;
  let ms = 0;
  if (text[at] === '.' || text[at] === ',') {
    const from = at + 1;
    let digitMs = 100;
    for (at = from; at <= from + fractionDigitsMax && isDigit(text.charCodeAt(at)); at += 1) {
      if (digitMs >= 1) ms += digitMs * (text.charCodeAt(at) - digitZero);
      digitMs /= 10;
    }
    if (at === from || at > from + fractionDigitsMax) return undefined;
  }
  return text[at] === 'Z' ? Date.UTC(year, month - 1, day, hour, minute, second, ms) : undefined;
}

const digitZero = 0x30;

/** Of two digits; NaN where there are none. */
function digitsAt(text: string, at: number): number {
  const tens = text.charCodeAt(at);
  const ones = text.charCodeAt(at + 1);
  return isDigit(tens) && isDigit(ones) ? (tens - digitZero) * 10 + ones - digitZero : Number.NaN;
}

function isDigit(code: number): boolean {
  return code >= digitZero && code <= digitZero + 9;
}

function epochOf(text: string, scale: number): number | undefined {
  const [digits] = /\d{1,19}(?:\.\d{1,9})?/u.exec(text.slice(0, searchedMax)) ?? [];
  return digits === undefined ? undefined : Math.floor(Number(digits) * scale);
}

function expanded(format: string): string {
  return format.replaceAll(/%([TDFR])/gu, (_whole, name: string) => shorthands[name] ?? '');
}

function patternOf(format: string): string {
  return expanded(format).replaceAll(
    /%(.)|(\s+)|([^%\s]+)/gsu,
    (_whole, name?: string, space?: string, text?: string) => {
      if (name !== undefined) return directives[name] ?? '';
      if (space !== undefined) return '\\s{1,8}';
      return (text ?? '').replaceAll(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');
    },
  );
}

type Parts = Readonly<Record<string, string | undefined>>;

function timeOf(parts: Parts, inZone: (wallMs: number) => number, nowMs: number): number | undefined {
  if (parts['epoch'] !== undefined) return Number(parts['epoch']) * 1000 + fractionMs(parts['fraction']);
  const wallMs = wallTime(parts, nowMs);
  if (wallMs === undefined) return undefined;
  const offset = parts['zone'];
  return offset === undefined ? inZone(wallMs) : wallMs - offsetMs(offset);
}

/** As if the zone were UTC. */
function wallTime(parts: Parts, nowMs: number): number | undefined {
  const name = (parts['monthName'] ?? '').slice(0, 3).toLowerCase();
  const named = months.findIndex((month) => month === name);
  const monthIndex = parts['monthName'] === undefined ? Number(parts['month'] ?? 1) - 1 : named;
  const day = Number(parts['day'] ?? 1);
  const hour = hourOf(Number(parts['hour'] ?? 0), parts['half']);
  const minute = Number(parts['minute'] ?? 0);
  const second = Number(parts['second'] ?? 0);
  if (monthIndex < 0 || monthIndex > 11 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
    return undefined;
  const dayOfYear = Number(parts['dayOfYear'] ?? 1);
  const at = (year: number): number =>
    Date.UTC(year, monthIndex, day + dayOfYear - 1, hour, minute, second, fractionMs(parts['fraction']));
  const year = yearOf(parts);
  if (year !== undefined) return at(year);
  // Without a year, as syslog writes it: the latest that puts it no more than a day ahead.
  const thisYear = new Date(nowMs).getUTCFullYear();
  const years = [thisYear + 1, thisYear, thisYear - 1];
  return years.map(at).find((timeMs) => timeMs <= nowMs + 86_400_000);
}

function yearOf(parts: Parts): number | undefined {
  if (parts['year'] !== undefined) return Number(parts['year']);
  if (parts['shortYear'] === undefined) return undefined;
  // POSIX: 69 to 99 are of the last century.
  const short = Number(parts['shortYear']);
  return short >= 69 ? 1900 + short : 2000 + short;
}

function hourOf(hour: number, half: string | undefined): number {
  if (half === undefined) return hour;
  return (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
}

function fractionMs(fraction = ''): number {
  return Number(fraction.padEnd(3, '0').slice(0, 3));
}

function offsetMs(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d{2}):?(\d{2})$/u.exec(zone) ?? [];
  if (sign === undefined) return 0;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

const quarterMs = 15 * 60 * 1000;

/** Wall time to time. An offset is asked for once in a quarter of an hour, in which no zone changes. */
function zoneReader(zone: string): (wallMs: number) => number {
  if (zone === 'UTC') return (wallMs) => wallMs;
  let quarter = Number.NaN;
  let offset = 0;
  return (wallMs) => {
    const current = Math.floor(wallMs / quarterMs);
    if (current !== quarter) {
      quarter = current;
      const wall = new Date(wallMs).toISOString().slice(0, -1);
      offset = wallMs - Temporal.PlainDateTime.from(wall).toZonedDateTime(zone).epochMilliseconds;
    }
    return wallMs - offset;
  };
}
