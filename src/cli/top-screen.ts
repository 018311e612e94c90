import type { AgentStatus } from '../agent/monitoring/status.ts';
import type { Look, Rate, Rates } from '../agent/monitoring/top.ts';
import { bytesText, countText, durationText } from './quantity.ts';
import { tableText } from './rows.ts';

export type Tone = 'plain' | 'strong' | 'dim' | 'good' | 'warn' | 'bad';

/** A line of the screen: pieces of text, each in its tone. */
export type Line = readonly (readonly [tone: Tone, text: string])[];

/** What the screen shows. */
export interface Sight {
  readonly look: Look;
  /** Absent at the first look, and where nothing is shipped. */
  readonly rates?: Rates | undefined;
  /** The code of why the agent did not answer since; what is shown is old then. */
  readonly silent?: string | undefined;
}

const labelWidth = 12;
const gaugeWidth = 24;
const failingMax = 8;
const errorsMax = 5;

/** The whole view, the most important first: what does not fit a terminal is cut at its end. */
export function topLines({ look, rates, silent }: Sight, hint = ''): readonly Line[] {
  const { status } = look;
  const nowMs = Date.parse(look.time);
  return [
    [...headline(look, nowMs), ['dim', hint === '' ? '' : `  ${hint}`]],
    ...(silent === undefined
      ? []
      : [[['bad', `the agent does not answer: ${silent}; asking again`]] as Line]),
    [],
    ...waitLines(status, nowMs),
    ...failingLines(status),
    row('credentials', credentialsLine(status, nowMs)),
    ...configLines(status, nowMs),
    row('secrets', [['plain', partsText(status.secrets)]]),
    row('deliveries', [['plain', partsText(status.deliveries)]]),
    ...(status.consumers.length === 0 ? [] : [row('consumers', [['plain', partsText(status.consumers)]])]),
    ...eventLines(status, rates, nowMs),
    ...errorLines(status, nowMs),
  ];
}

const tones: Readonly<Record<AgentStatus['state'], Tone>> = {
  starting: 'warn',
  ready: 'good',
  degraded: 'bad',
  stopping: 'warn',
};

function waitLines({ waitsFor }: AgentStatus, nowMs: number): Line[] {
  if (waitsFor === undefined) return [];
  const { what, since, withinSeconds } = waitsFor;
  return [row('waits for', [['warn', `${what}, ${ago(since, nowMs)}, ${withinSeconds} s at most`]])];
}

function headline({ status, time }: Look, nowMs: number): Line {
  const { state, name, version, pid, startedAt } = status;
  return [
    ['strong', `gatehouse ${name}  `],
    [tones[state], state],
    ['dim', `  up ${ago(startedAt, nowMs)}, pid ${pid}, version ${version}, ${time.slice(11, 19)} UTC`],
  ];
}

function row(label: string, text: Line): Line {
  return [['dim', `${label.padEnd(labelWidth)} `], ...text];
}

function failingLines(status: AgentStatus): readonly Line[] {
  const codes = new Map<string, string | undefined>([
    ...status.secrets.map(({ name, failing }) => [`secret ${name}`, failing] as const),
    ...status.deliveries.map(({ delivery, failing }) => [`delivery ${delivery}`, failing] as const),
    ...status.consumers.map(({ name, failing }) => [`consumer ${name}`, failing] as const),
    ['credentials', status.credentials.failing?.code ?? status.credentials.denied?.awsError] as const,
    ['config', status.config?.refused] as const,
    ['monitoring', status.monitoring?.failing] as const,
  ]);
  const lines = status.failing.slice(0, failingMax).map((what): Line => {
    const code = what.startsWith('events:') ? status.events?.lastError?.code : codes.get(what);
    return row('failing', [['bad', code === undefined ? what : `${what}: ${code}`]]);
  });
  const more = status.failing.length - lines.length;
  return more === 0 ? lines : [...lines, row('', [['bad', `and ${more} more`]])];
}

function credentialsLine({ credentials }: AgentStatus, nowMs: number): Line {
  const { source, accessKeyId, expiration, renewedAt, extendedUntil } = credentials;
  if (source === undefined) return [['warn', 'none yet']];
  const leftMs = expiration === undefined ? Infinity : Date.parse(expiration) - nowMs;
  const soonMs = 10 * 60_000;
  const validity: Line =
    expiration === undefined
      ? [['plain', 'never expires']]
      : leftMs <= 0
        ? [['bad', `expired ${durationText(-leftMs)} ago${extendedUntil === undefined ? '' : ', used on'}`]]
        : [[leftMs < soonMs ? 'warn' : 'plain', `expires in ${durationText(leftMs)}`]];
  const renewed = renewedAt === undefined ? '' : `, renewed ${ago(renewedAt, nowMs)} ago`;
  return [['plain', `${source} ${accessKeyId ?? ''}  `], ...validity, ['dim', renewed]];
}

function configLines({ config }: AgentStatus, nowMs: number): readonly Line[] {
  if (config === undefined) return [row('config', [['warn', 'none yet']])];
  const { secretName, versionId, appliedAt, readAt, restartNeeded, lastKnownGood } = config;
  const since = appliedAt === undefined ? '' : `, applied ${ago(appliedAt, nowMs)} ago`;
  const read = readAt === undefined ? '' : `, read ${ago(readAt, nowMs)} ago`;
  const waiting: readonly Line[] =
    restartNeeded.length === 0 ? [] : [row('', [['warn', `restart needed for ${restartNeeded.join(', ')}`]])];
  const copy: readonly Line[] =
    lastKnownGood === undefined
      ? []
      : [row('', [['bad', `last-known-good copy in use, sealed ${ago(lastKnownGood.sealedAt, nowMs)} ago`]])];
  return [
    row('config', [
      ['plain', secretName],
      ['dim', ` version ${versionId?.slice(0, 8) ?? '-'}${since}${read}`],
    ]),
    ...copy,
    ...waiting,
  ];
}

function partsText(all: readonly { readonly failing?: string }[]): string {
  const failing = all.filter((part) => part.failing !== undefined).length;
  return failing === 0 ? `${all.length} ok` : `${all.length - failing} ok, ${failing} failing`;
}

function eventLines({ events }: AgentStatus, rates: Rates | undefined, nowMs: number): readonly Line[] {
  if (events === undefined) return [row('events', [['dim', 'none are shipped']])];
  const { spool, sent, deadLetter, dropped, sources } = events;
  const last = sent.lastAtMs === undefined ? '' : `, last ${durationText(nowMs - sent.lastAtMs)} ago`;
  return [
    row('spool', spoolLine(spool)),
    row('sent', [
      ['plain', rateText(rates?.sent)],
      ['dim', `  ${countText(sent.events)} events in all${last}`],
    ]),
    row('refused', [
      [sent.refused === 0 ? 'plain' : 'bad', countText(sent.refused)],
      ['dim', `  dead letter ${countText(deadLetter.events)} events, ${bytesText(deadLetter.bytes)}`],
    ]),
    ...(dropped === undefined || dropped.events === 0
      ? []
      : [row('dropped', [['bad', `${countText(dropped.events)} events, ${bytesText(dropped.bytes)}`]])]),
    [],
    ...sourceLines(sources, rates),
  ];
}

type Events = NonNullable<AgentStatus['events']>;

function spoolLine({ bytes, bytesMax, batches, isSealed, isFailing, isFull }: Events['spool']): Line {
  const part = bytesMax === 0 ? 0 : Math.min(1, bytes / bytesMax);
  const filled = part === 0 ? 0 : Math.max(1, Math.round(part * gaugeWidth));
  const tone: Tone = isFailing || isFull || part > 0.8 ? 'bad' : part > 0.5 ? 'warn' : 'good';
  return [
    ['plain', '['],
    [tone, '#'.repeat(filled)],
    ['dim', '.'.repeat(gaugeWidth - filled)],
    ['plain', `] ${percentText(part)} of ${bytesText(bytesMax)}`],
    ['dim', `  ${bytesText(bytes)}, ${countText(batches)} batches, ${isSealed ? 'sealed' : 'in clear'}`],
    ...(isFailing ? [['bad', '  cannot be written'] as const] : []),
    ...(isFull ? [['bad', '  full, sources wait'] as const] : []),
  ];
}

function percentText(part: number): string {
  return part > 0 && part < 0.01 ? '< 1 %' : `${Math.floor(part * 100)} %`;
}

function rateText(rate: Rate | undefined): string {
  if (rate === undefined) return '-';
  return `${countText(rate.eventsPerSecond)} events/s, ${bytesText(rate.bytesPerSecond)}/s`;
}

function sourceLines(sources: Events['sources'], rates: Rates | undefined): readonly Line[] {
  const rows = sources.map(({ name, events, lagBytes, items }) => {
    const rate = rates?.sources.find((each) => each.name === name);
    return [
      name,
      rate === undefined ? '-' : countText(rate.eventsPerSecond),
      rate === undefined ? '-' : `${bytesText(rate.bytesPerSecond)}/s`,
      bytesText(lagBytes),
      countText(events),
      countText(items),
    ];
  });
  const text = tableText(['SOURCE', 'EVENTS/S', 'BYTES/S', 'BEHIND', 'EVENTS', 'ITEMS'], rows, 1);
  return linesOf(text);
}

function errorLines({ lastErrors }: AgentStatus, nowMs: number): readonly Line[] {
  if (lastErrors.length === 0) return [];
  const rows = lastErrors
    .slice(-errorsMax)
    .toReversed()
    .map(({ time, event, code }) => [`${ago(time, nowMs)} ago`, event, code ?? '']);
  return [[], ...linesOf(tableText(['LAST ERRORS', 'EVENT', 'CODE'], rows))];
}

/** A table as lines, its headings told apart. */
function linesOf(table: string): readonly Line[] {
  return table
    .trimEnd()
    .split('\n')
    .map((text, index): Line => [[index === 0 ? 'dim' : 'plain', text]]);
}

function ago(time: string, nowMs: number): string {
  return durationText(nowMs - Date.parse(time));
}

/** The lines as text. */
export function plainText(lines: readonly Line[]): string {
  return lines
    .map(
      (line) =>
        `${line
          .map(([, text]) => text)
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}

/** At most so many lines of at most so many characters: a line that is longer would shift all below it. */
export function fitted(lines: readonly Line[], columns: number, rows: number): readonly Line[] {
  return lines.slice(0, rows).map((line) => {
    let left = columns;
    return line.map(([tone, text]) => {
      const shown = text.slice(0, left);
      left -= shown.length;
      return [tone, shown] as const;
    });
  });
}
