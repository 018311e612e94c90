import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { backoffMs } from '../../base/retry.ts';
import type { EventSource, Positions } from '../event-source.ts';
import { isShippable } from '../event-time.ts';
import { eventsEvent } from '../log-events.ts';
import { EntryTooLong, type JournalEntry, journalExport } from './journal-export.ts';
import { lastLine } from './last-line.ts';

/**
 * A command that runs for as long as it is read. Ending the iteration, or `signal`, ends it. `onSaid` is told what it
 * writes to its standard error.
 */
export type FollowCommand = (
  argv: readonly string[],
  signal: AbortSignal,
  onSaid: (bytes: Buffer) => void,
) => AsyncIterable<Buffer>;

export interface JournaldSourceOptions {
  readonly name: string;
  readonly units?: readonly string[] | undefined;
  readonly identifiers?: readonly string[] | undefined;
  /** The least severe that is shipped. */
  readonly priority?: string | undefined;
  /** Where journal files are, instead of this host's own journal. */
  readonly directory?: string | undefined;
  /** This host's, as journald has it: entries of others are left out, but for those of `directory`. */
  readonly machineId?: string | undefined;
  /** Where reading starts the first time: at the end, with this boot, or at the oldest entry. */
  readonly since: 'now' | 'boot' | 'oldest';
  /** The fields that an event has, in this order. One alone is the event's text, several are JSON. */
  readonly fields: readonly string[];
  readonly follow: FollowCommand;
  /** Takes secrets out of what journalctl says when it fails; without it that is not told. */
  readonly redacted?: ((said: Buffer) => Buffer) | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** Undefined where the host has none. */
export function ownMachineId(): string | undefined {
  try {
    const id = readFileSync('/etc/machine-id', 'latin1').trim();
    return /^[0-9a-f]{32}$/u.test(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

const cursorItem = 'cursor';
/** As journald writes them: `s=…;i=…;b=…;m=…;t=…;x=…`. */
const cursorForm = /^[a-z]=[0-9a-f]+(?:;[a-z]=[0-9a-f]+)*$/u;
/** One entry, with the chosen fields. */
const entryBytesMax = 8 * 2 ** 20;
/** How often it is said that times cannot be used. */
const sayEveryMs = 10 * 60 * 1000;
/** A command that runs for so long reads, though there may be nothing. One that cannot ends at once. */
const worksAfterMs = 5_000;
/** Of a line that journalctl writes to its standard error. */
const saidBytesMax = 16 * 1024;
/** So much of it is told. */
const saidCharactersMax = 200;
const backoff = { baseMs: 500, capMs: 30_000 };

/**
 * Entries of the systemd journal, through `journalctl`: the format of its files is not ours to know, and what it reads
 * it reads with the rights of the agent. The cursor is the position. Guarantee on kill: nothing is lost that is still
 * in the journal when the agent starts again.
 */
export function journaldSource(options: JournaldSourceOptions): EventSource {
  const { name, fields, follow, redacted, clock, log } = options;
  let failing: string | undefined;
  let unusable = 0;
  let sayAtMs = 0;

  return {
    async *chunks(from: Positions, signal) {
      let cursor = from.get(cursorItem);
      if (cursor !== undefined && !cursorForm.test(cursor)) cursor = undefined;
      /** An entry that is not even to be read again. */
      let skipped: string | undefined;
      for (let failures = 0; !signal.aborted; failures += 1) {
        const entries = journalExport(entryBytesMax);
        const shipped = cursor;
        const start = startOf(options.since, cursor, skipped, bootSeconds());
        const over = new AbortController();
        const said = lastLine(saidBytesMax);
        const works = clock.sleep(worksAfterMs, AbortSignal.any([signal, over.signal]));
        works.then(noteRecovery, () => undefined);
        try {
          for await (const bytes of follow(argvOf(options, start), signal, said.push)) {
            for (const entry of entries.push(bytes)) {
              cursor = entry.get('__CURSOR')?.toString('latin1') ?? cursor;
              skipped = undefined;
              failures = 0;
              noteRecovery();
              if (cursor !== undefined && cursor === shipped) continue;
              yield {
                bytes: textOf(entry, fields),
                timeMs: timeOf(entry),
                positions: [{ item: cursorItem, value: cursor }],
                file: undefined,
                isOneEvent: true,
              };
            }
          }
          if (!signal.aborted) fail('journalctl ended', said.line());
        } catch (error) {
          if (signal.aborted) return;
          if (error instanceof EntryTooLong) {
            log(eventsEvent('events.entry-skipped', { source: name, bytesMax: entryBytesMax }));
            skipped = error.cursor;
            continue;
          }
          const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable output';
          fail(reason, said.line());
        } finally {
          over.abort();
        }
        await clock.sleep(backoffMs(failures, backoff), signal).catch(() => undefined);
      }
    },
    counts: () => ({ lagBytes: 0, items: 1, ...(failing === undefined ? {} : { failing }) }),
  };

  /** When it was written, if CloudWatch Logs takes that, else now. */
  function timeOf(entry: JournalEntry): number {
    const nowMs = clock.now().getTime();
    const writtenMs = stampOf(entry);
    if (writtenMs === undefined) return nowMs;
    if (isShippable(writtenMs, nowMs)) return writtenMs;
    unusable += 1;
    if (clock.monotonic() < sayAtMs) return nowMs;
    sayAtMs = clock.monotonic() + sayEveryMs;
    log(eventsEvent('events.time-unusable', { source: name, events: unusable }));
    unusable = 0;
    return nowMs;
  }

  function bootSeconds(): number {
    return Math.floor(clock.now().getTime() / 1000 - uptime());
  }

  function fail(reason: string, line: Buffer): void {
    if (failing === undefined) {
      const said = redacted === undefined ? undefined : legible(redacted(line));
      log(eventsEvent('events.journal-failed', { source: name, reason, said }));
    }
    failing = reason;
  }

  function noteRecovery(): void {
    if (failing !== undefined) log(eventsEvent('events.journal-recovered', { source: name }));
    failing = undefined;
  }
}

function argvOf(options: JournaldSourceOptions, start: readonly string[]): readonly string[] {
  const { units = [], identifiers = [], priority, directory, machineId, fields } = options;
  return [
    'journalctl',
    '--follow',
    '--no-tail',
    // To follow would else mean this boot alone: what the last one wrote at its end would be lost. And with this boot
    // journalctl reads what a unit with ProcSubset=pid hides from it.
    '--merge',
    '--boot=all',
    '--all',
    '--quiet',
    '--output=export',
    `--output-fields=${fields.join(',')}`,
    ...start,
    ...units.map((unit) => `--unit=${unit}`),
    ...identifiers.map((identifier) => `--identifier=${identifier}`),
    ...(priority === undefined ? [] : [`--priority=${priority}`]),
    ...(directory === undefined ? [] : [`--directory=${directory}`]),
    // Journals of other machines may lie beside our own.
    ...(directory !== undefined || machineId === undefined ? [] : [`_MACHINE_ID=${machineId}`]),
  ];
}

/**
 * With the entry that was read last, not after it: where that one is not there any more, vacuumed say, journalctl (252)
 * leaves out the next one for it.
 */
function startOf(
  since: JournaldSourceOptions['since'],
  cursor: string | undefined,
  skipped: string | undefined,
  bootSeconds: number,
): readonly string[] {
  if (skipped !== undefined) return [`--after-cursor=${skipped}`];
  if (cursor !== undefined) return [`--cursor=${cursor}`];
  if (since === 'now') return ['--since=now'];
  return since === 'boot' ? [`--since=@${bootSeconds}`] : [];
}

function textOf(entry: JournalEntry, fields: readonly string[]): Buffer {
  const [only] = fields;
  if (fields.length === 1 && only !== undefined) return entry.get(only) ?? Buffer.alloc(0);
  const members = fields.flatMap((field) => {
    const value = entry.get(field);
    // As latin1, so that UTF-8, and what is none, passes through byte by byte.
    return value === undefined ? [] : [[field, value.toString('latin1')] as const];
  });
  return Buffer.from(JSON.stringify(Object.fromEntries(members)), 'latin1');
}

function stampOf(entry: JournalEntry): number | undefined {
  const stamp = entry.get('__REALTIME_TIMESTAMP');
  return stamp === undefined ? undefined : Math.floor(Number(stamp.toString('latin1')) / 1000);
}

/** Undefined where there is nothing to read. */
function legible(bytes: Buffer): string | undefined {
  const text = bytes
    .toString()
    .replaceAll(/\p{Cc}/gu, '')
    .trim();
  if (text === '') return undefined;
  return text.length > saidCharactersMax ? `${text.slice(0, saidCharactersMax).toWellFormed()}…` : text;
}
