import { errnoOf } from '../../base/errno.ts';
import { eventsError } from '../errors.ts';
import type { OpenFiles } from './open-files.ts';
import { headAt, recordKind } from './record.ts';
import { type FoundRecord, type Gap, scanSegment, tailOf } from './segment-scan.ts';
import type { StorageFile } from './storage.ts';

/** What a checkpoint says. */
export interface Checkpoint<State> {
  /** Number, end and held records of each segment before. */
  readonly segments: readonly (readonly [number: number, end: number, records: number])[];
  /** What the owner of the log made of all records before. */
  readonly state: State;
}

/** A segment as it was found. */
export interface FoundSegment {
  readonly number: number;
  readonly name: string;
  /** Undefined where it is gone. */
  readonly file: StorageFile | undefined;
  readonly end: number;
  readonly records: readonly FoundRecord[];
  readonly gaps: readonly Gap[];
  /** Bytes behind `end` that a crash left. */
  readonly cutBytes: number;
}

/** What a folder of segments holds. */
export interface FoundLog {
  /** The newest segment that begins with a checkpoint: those before matter for the records held in them alone. */
  readonly base: number;
  /** No segment with a higher number was ever there, as far as is known. */
  readonly highest: number;
  /** To be read in this order, one at a time: a long log does not fit the memory. */
  readonly segments: readonly (() => Promise<FoundSegment>)[];
  /** Segments that should be there. */
  readonly missing: readonly { readonly segment: number; readonly records: number }[];
  /** Files that were removed on purpose, or never came to be, and are there (again) after a crash. */
  readonly leftovers: readonly string[];
}

/** What a head with its meta may take beyond the first look. */
const firstLookBytes = 64 * 1024;
const namePattern = /^(\d{10})\.segment$/u;

export function nameOf(number: number): string {
  return `${String(number).padStart(10, '0')}.segment`;
}

export function segmentNumbers(names: readonly string[]): number[] {
  return names
    .flatMap((name) => {
      const digits = namePattern.exec(name)?.[1];
      return digits === undefined ? [] : [Number(digits)];
    })
    .toSorted((a, b) => a - b);
}

export function checkpointIn<State>(meta: Buffer): Checkpoint<State> {
  const checkpoint: Checkpoint<State> = JSON.parse(meta.toString());
  return checkpoint;
}

/**
 * Reads what tells the segments apart: the newest checkpoint, and what was written since.
 * @throws EVENTS_SPOOL_UNREADABLE
 */
export async function findLog(names: readonly string[], files: OpenFiles): Promise<FoundLog> {
  const numbers = segmentNumbers(names);
  const { base, checkpoint } = await newestCheckpoint(numbers, files);
  const newest = await Promise.all(
    numbers.filter((number) => number >= base).map((number) => newestSegment(number, files)),
  );
  const expected = new Map(checkpoint.segments.map(([number, end, records]) => [number, { end, records }]));
  const dropped = new Set(newest.flatMap(({ records }) => records.flatMap(droppedIn)));
  for (const number of dropped) expected.delete(number);
  const older = numbers.filter((number) => number < base && expected.has(number));
  const newer = newest.filter(({ number }) => !dropped.has(number));
  const kept = new Set([...older, ...newer.map(({ number }) => number)]);
  return {
    base,
    highest: Math.max(0, ...numbers, ...expected.keys(), ...dropped),
    segments: [
      ...older.map((number) => () => olderSegment(number, expected.get(number)?.end ?? 0, files)),
      ...newer.map((found) => async () => found),
    ],
    missing: [...expected]
      .filter(([number]) => !numbers.includes(number))
      .map(([segment, { records }]) => ({ segment, records })),
    leftovers: numbers.filter((number) => !kept.has(number)).map(nameOf),
  };
}

async function newestCheckpoint(numbers: readonly number[], files: OpenFiles) {
  for (const number of numbers.toReversed()) {
    const meta = await firstMeta(number, files);
    if (meta !== undefined) return { base: number, checkpoint: checkpointIn<unknown>(meta) };
  }
  return { base: 0, checkpoint: { segments: [] } };
}

/** The meta of the checkpoint that a segment begins with. */
async function firstMeta(number: number, files: OpenFiles): Promise<Buffer | undefined> {
  const file = await opened(number, files);
  if (file === undefined) return undefined;
  try {
    let found = headAt(await file.read(0, firstLookBytes), 0);
    if (typeof found === 'number') found = headAt(await file.read(0, found), 0);
    if (typeof found !== 'object' || found.segment !== number) return undefined;
    return found.kind === recordKind.checkpoint ? found.meta : undefined;
  } catch {
    return undefined;
  }
}

function droppedIn({ head }: FoundRecord): number[] {
  return head.kind === recordKind.dropped ? JSON.parse(head.meta.toString()) : [];
}

/** One that may have been appended to when the process ended. */
async function newestSegment(number: number, files: OpenFiles): Promise<FoundSegment> {
  const name = nameOf(number);
  const file = await opened(number, files);
  if (file === undefined) return gone(number);
  const size = await file.size().catch((error: unknown) => {
    throw notGiven(number, files, error);
  });
  const { records, gaps, end } = await tailOf(file, await scanSegment(file, number, size), size);
  // What a record that does not read would have told to be durable may lie behind: it is looked at the next time.
  if (gaps.some(({ isUnread }) => isUnread))
    return { number, name, file, end: size, records, gaps, cutBytes: 0 };
  return { number, name, file, end, records, gaps, cutBytes: size - end };
}

/** One that was complete before a later one was begun: up to `end` all was on the disk. */
async function olderSegment(number: number, end: number, files: OpenFiles): Promise<FoundSegment> {
  const file = await opened(number, files);
  if (file === undefined) return gone(number);
  const { records, gaps } = await scanSegment(file, number, end);
  return { number, name: nameOf(number), file, end, records, gaps, cutBytes: 0 };
}

/**
 * Undefined where it is gone. One that is there and does not open refuses the whole opening: passed over it would count
 * as empty and be removed, with all that waits in it and the key of that. To go on without it is no way either: of the
 * newest one not even the end is known, nor which ids it used. No bad sector does this, a shortage does (descriptors,
 * memory) or a wrong owner: whoever starts the agent again starts it when that may be over, and is told what it is.
 */
async function opened(number: number, files: OpenFiles): Promise<StorageFile | undefined> {
  try {
    return await files.of(nameOf(number));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw notGiven(number, files, error);
  }
}

function notGiven(segment: number, { path }: OpenFiles, error: unknown): Error {
  return eventsError('EVENTS_SPOOL_UNREADABLE', { path, segment, errno: errnoOf(error) }, error);
}

function gone(number: number): FoundSegment {
  return { number, name: nameOf(number), file: undefined, end: 0, records: [], gaps: [], cutBytes: 0 };
}
