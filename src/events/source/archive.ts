import { closeSync } from 'node:fs';
import type { Position } from '../event-source.ts';
import type { Encoding } from './encodings.ts';
import {
  bornMsOf,
  type FileRecord,
  fileItem,
  filePosition,
  generationOf,
  type LongLine,
} from './file-record.ts';
import { hashOf, headBytesMax, newFingerprint } from './fingerprint.ts';
import { type Inflatable, inflate } from './inflate.ts';
import { type LineCutter, lineCutter } from './line-cutter.ts';
import { errnoOf, type OpenLogFile, statOf } from './open-log-file.ts';
import { type DetectedFormat, textFormat } from './text-format.ts';
import type { Predecessor, TakenLines } from './tracked-file.ts';

/** A compressed file whose plain form was missed, in part or wholly. Offsets are in what it holds. */
export interface Archive {
  readonly item: string;
  /** The path that its lines had: `{file}`. */
  readonly path: string;
  readonly currentPath: string;
  readonly offset: number;
  /** Whether anything of it was, or would have been, read. */
  readonly hasBegun: boolean;
  /** Nothing more comes of it. */
  readonly isAtEnd: boolean;
  /** On the monotonic clock. */
  readonly openedMs: number;
  readonly lagBytes: number;
  /** What had this path before: its rest comes first. */
  after: Predecessor | undefined;
  readonly rank: number;
  /** The next lines; undefined at its end, or when it has to be tried again later. Never throws. */
  take(): Promise<TakenLines | undefined>;
  record(): FileRecord;
  position(): Position;
  close(): void;
}

export interface Archiving {
  readonly rank: number;
  readonly path: string;
  readonly currentPath: string;
  readonly compression: Inflatable;
  readonly encoding: Encoding;
  /** Records of which this may be a copy, likeliest first. */
  readonly candidates: () => Iterable<KnownRecord>;
  /** Whether it is read from its start when it is a copy of nothing that is known. */
  readonly isWanted: boolean;
  /** How long a file that is not whole is waited for. */
  readonly patienceMs: number;
  readonly monotonic: () => number;
  /** Told once, when it is known what it is: where reading starts, and in what. */
  readonly onMatched: (match: ArchiveMatch) => void;
  readonly onDamaged: (reason: string) => void;
}

export interface KnownRecord {
  readonly item: string;
  readonly record: FileRecord;
  /** It is read elsewhere, so there is nothing to read here. */
  readonly isRead: boolean;
}

export type ArchiveMatch =
  | { readonly kind: 'rest'; readonly item: string; readonly record: FileRecord }
  | { readonly kind: 'whole' }
  | { readonly kind: 'nothing' };

/** Bytes handed on at once. */
const takeBytes = 128 * 1024;

export function openArchive(opened: OpenLogFile, archiving: Archiving): Archive {
  const item = fileItem(opened.stat);
  const { path, currentPath, compression, onMatched } = archiving;
  const handle = opened.handle;
  const generation = generationOf(opened.stat, 0);
  let seen = opened.stat;
  const openedMs = archiving.monotonic();
  let changedMs = openedMs;
  let isClosed = false;
  /** It has been waited for long enough: what is there is taken for what it is. */
  let isLastTry = false;
  let isAtEnd = false;
  let offset = 0;
  let state = newFingerprint();
  let match: ArchiveMatch | undefined;
  let pieces: AsyncGenerator<Buffer> | undefined;
  let ready: TakenLines[] = [];
  let isInflated = false;
  let broken: { readonly error: unknown } | undefined;
  let text: DetectedFormat = textFormat(archiving.encoding, Buffer.alloc(0));
  let longLine: LongLine | undefined;
  /** Where the line begins that was split last. */
  let longLineStart = 0;
  let cutter: LineCutter = newCutter();

  function nameOf(start: number): string {
    return hashOf(Buffer.from(`${item}@${start}`)).slice(0, 8);
  }

  function newCutter(begun?: LongLine): LineCutter {
    const nameLine = (): string => {
      longLineStart = offset;
      return nameOf(offset);
    };
    return lineCutter(text.format, nameLine, begun && { line: nameOf(begun.start), parts: begun.parts });
  }

  const record = (): FileRecord => ({
    path,
    offset,
    bornMs: bornMsOf(opened.stat),
    writtenMs: opened.stat.mtimeMs,
    fingerprint: state.fingerprint(),
    ...(longLine === undefined ? {} : { longLine }),
    archive: { isDone: isAtEnd },
  });

  /** Finds out which known file this is a copy of, by its first bytes and those before the place it was read up to. */
  async function resolve(): Promise<ArchiveMatch> {
    const head = await headOf(inflate(handle, compression), isLastTry);
    text = textFormat(archiving.encoding, head);
    cutter = newCutter();
    for (const known of archiving.candidates()) {
      const { fingerprint } = known.record;
      const isSameHead =
        head.length >= fingerprint.headBytes &&
        fingerprint.headBytes > 0 &&
        hashOf(head.subarray(0, fingerprint.headBytes)) === fingerprint.head;
      if (!isSameHead) continue;
      if (known.isRead) return { kind: 'nothing' };
      if (await skipTo(known.record)) return { kind: 'rest', item: known.item, record: known.record };
    }
    return archiving.isWanted ? { kind: 'whole' } : { kind: 'nothing' };
  }

  /** Passes over what was read already; false when it is not what was read. */
  async function skipTo({ offset: wanted, fingerprint, longLine: begun }: FileRecord): Promise<boolean> {
    const skipped = newFingerprint();
    const from = inflate(handle, compression);
    let at = 0;
    let rest = Buffer.alloc(0);
    while (at < wanted) {
      const { value, done } = await from.next();
      if (done === true) return false;
      const taken = value.subarray(0, wanted - at);
      skipped.advance(taken);
      at += taken.length;
      rest = Buffer.from(value.subarray(taken.length));
    }
    if (skipped.fingerprint().tail !== fingerprint.tail) {
      await from.return(undefined);
      return false;
    }
    pieces = from;
    offset = at;
    state = skipped;
    longLine = begun;
    longLineStart = begun?.start ?? 0;
    cutter = newCutter(begun);
    ready = cutter.push(rest);
    return true;
  }

  async function next(): Promise<TakenLines | undefined> {
    if (match === undefined) {
      match = await resolve();
      onMatched(match);
    }
    if (match.kind === 'nothing') return undefined;
    if (pieces === undefined && offset > 0 && !(await skipTo(record()))) return undefined;
    pieces ??= inflate(handle, compression);
    while (ready.length === 0 && !isInflated) await inflateMore(pieces);
    const taken = ready.shift();
    if (taken === undefined) return undefined;
    const { format, markBytes } = text;
    const unmarked = offset === 0 ? taken.bytes.subarray(markBytes) : taken.bytes;
    const bytes = format.toUtf8(unmarked);
    const at = offset + taken.bytes.length - unmarked.length;
    state.advance(taken.bytes);
    offset += taken.bytes.length;
    const { part } = taken;
    longLine = part === undefined || part.isLast ? undefined : { start: longLineStart, parts: part.number };
    return { ...taken, bytes, ...(bytes === unmarked ? { origin: { generation, offset: at } } : {}) };
  }

  /** What came before a failure is whole lines, and is handed on before it. */
  async function inflateMore(from: AsyncGenerator<Buffer>): Promise<void> {
    if (broken !== undefined) throw broken.error;
    const gathered: Buffer[] = [];
    try {
      for (let bytes = 0; bytes < takeBytes && !isInflated; ) {
        const { value, done } = await from.next();
        isInflated = done === true;
        if (done === true) break;
        gathered.push(value);
        bytes += value.length;
      }
    } catch (error) {
      broken = { error };
    }
    ready = cutter.push(Buffer.concat(gathered));
    if (isInflated) ready.push(...cutter.end());
  }

  /** Not whole yet, perhaps: it is begun again where it was, when the file has changed. */
  function failed(error: unknown): void {
    pieces = undefined;
    broken = undefined;
    ready = [];
    cutter = newCutter();
    const now = statOf(handle) ?? seen;
    const nowMs = archiving.monotonic();
    if (now.size !== seen.size || now.mtimeMs !== seen.mtimeMs) changedMs = nowMs;
    seen = now;
    if (nowMs - changedMs < archiving.patienceMs) return;
    if (match === undefined && !isLastTry) {
      isLastTry = true;
      return;
    }
    isAtEnd = true;
    archiving.onDamaged(errnoOf(error));
  }

  return {
    item,
    path,
    currentPath,
    rank: archiving.rank,
    openedMs,
    after: undefined,
    get offset() {
      return offset;
    },
    get hasBegun() {
      return match !== undefined && match.kind !== 'nothing';
    },
    get isAtEnd() {
      return isAtEnd;
    },
    get lagBytes() {
      return isAtEnd ? 0 : seen.size;
    },
    async take() {
      if (isAtEnd || isClosed) return undefined;
      try {
        const taken = await next();
        if (taken === undefined) isAtEnd = true;
        return taken;
      } catch (error) {
        failed(error);
        return undefined;
      }
    },
    record,
    position: () => filePosition(item, record()),
    close() {
      if (!isClosed) closeSync(handle);
      isClosed = true;
      void pieces?.return(undefined);
    },
  };
}

async function headOf(pieces: AsyncGenerator<Buffer>, isPartEnough: boolean): Promise<Buffer> {
  const head: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of pieces) {
      head.push(piece);
      length += piece.length;
      if (length >= headBytesMax) break;
    }
  } catch (error) {
    if (!isPartEnough || length === 0) throw error;
  }
  return Buffer.concat(head).subarray(0, headBytesMax);
}
