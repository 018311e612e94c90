import { pieces } from './pieces.ts';

/** An entry, or one of its fields, that is longer than may be held; its cursor tells where to go on. */
export class EntryTooLong extends RangeError {
  readonly cursor: string | undefined;

  constructor(cursor: string | undefined) {
    super('an entry is too long');
    this.cursor = cursor;
  }
}

/** One entry of the journal: its fields as bytes. A field that occurs several times has its values joined by newlines. */
export type JournalEntry = ReadonlyMap<string, Buffer>;

/** Cuts what `journalctl --output=export` writes into entries. https://systemd.io/JOURNAL_EXPORT_FORMATS */
export interface JournalExport {
  /**
   * The entries that are whole now; all of them are to be taken.
   * @throws EntryTooLong, and RangeError for what is no entry, after those before it
   */
  push(bytes: Buffer): Generator<JournalEntry, void, void>;
}

const newline = 0x0a;
const equals = 0x3d;
const lengthBytes = 8;

export function journalExport(entryBytesMax: number): JournalExport {
  let held = pieces();
  let neededBytes = 0;

  return {
    *push(bytes) {
      held.add(bytes);
      if (held.bytes < neededBytes) return;
      const all = held.joined();
      let from = 0;
      let read = entryAt(all, from);
      for (; 'entry' in read; read = entryAt(all, from)) {
        if (read.entry.size > 0) yield read.entry;
        from = read.end;
      }
      neededBytes = read.neededEnd - from;
      if (Math.max(neededBytes, all.length - from) > entryBytesMax)
        throw new EntryTooLong(cursorAt(all, from));
      held = pieces(Buffer.from(all.subarray(from)));
    },
  };
}

/** The entry that starts at `from`, copied out; where it is not whole, up to where it is known to go on. */
function entryAt(
  bytes: Buffer,
  from: number,
): { readonly entry: JournalEntry; readonly end: number } | { readonly neededEnd: number } {
  const entry = new Map<string, Buffer>();
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf(newline, at);
    if (lineEnd < 0) return { neededEnd: bytes.length };
    if (lineEnd === at) return { entry, end: at + 1 };
    const line = bytes.subarray(at, lineEnd);
    const split = line.indexOf(equals);
    if (split >= 0) {
      add(entry, line.toString('latin1', 0, split), line.subarray(split + 1));
      at = lineEnd + 1;
      continue;
    }
    // Binary: the name alone, a length of 64 bits, little-endian, that many bytes, a newline.
    const start = lineEnd + 1 + lengthBytes;
    if (bytes.length < start) return { neededEnd: start };
    const length = Number(bytes.readBigUInt64LE(lineEnd + 1));
    if (bytes.length < start + length + 1) return { neededEnd: start + length + 1 };
    if (bytes[start + length] !== newline) throw new RangeError('a field has no end');
    add(entry, line.toString('latin1'), bytes.subarray(start, start + length));
    at = start + length + 1;
  }
}

function add(entry: Map<string, Buffer>, name: string, value: Buffer): void {
  const before = entry.get(name);
  entry.set(
    name,
    before === undefined ? Buffer.from(value) : Buffer.concat([before, Buffer.from('\n'), value]),
  );
}

/** The cursor comes first in an entry. */
function cursorAt(bytes: Buffer, from: number): string | undefined {
  const name = '__CURSOR=';
  const end = bytes.indexOf(newline, from);
  const line = bytes.toString('latin1', from, end < 0 ? from : end);
  return line.startsWith(name) ? line.slice(name.length) : undefined;
}
