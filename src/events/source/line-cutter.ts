import type { TextFormat } from './text-format.ts';
import type { TakenLines } from './tracked-file.ts';

/** Cuts a stream of bytes into whole lines; a line too long for one event into marked parts. */
export interface LineCutter {
  /** What is whole now, in the bytes' own encoding. */
  push(bytes: Buffer): TakenLines[];
  /** The last line, if it has no end. */
  end(): TakenLines[];
  /** Bytes that wait for the end of their line. */
  readonly heldBytes: number;
}

/** A line that is split, of which so many parts have been taken. */
export interface SplitLine {
  readonly line: string;
  readonly parts: number;
}

/** `nameLine` names a line that is split. The first bytes are those that follow the parts of `begun`, if it is given. */
export function lineCutter(format: TextFormat, nameLine: () => string, begun?: SplitLine): LineCutter {
  let held = Buffer.alloc(0);
  let long = begun;

  function part(bytes: Buffer, isLast: boolean): TakenLines {
    const { line, parts } = long ?? { line: nameLine(), parts: 0 };
    const number = parts + 1;
    long = isLast ? undefined : { line, parts: number };
    return { bytes, part: { line, number, isLast } };
  }

  /** Takes parts off a line as long as it has more than fits into one; what is left is its last part, or all of it. */
  function cut(line: Buffer, taken: TakenLines[]): Buffer {
    let rest = line;
    while (
      rest.length > format.lineBytesMax ||
      (long !== undefined && rest.length > format.partLength(rest))
    ) {
      const length = format.partLength(rest);
      taken.push(part(rest.subarray(0, length), false));
      rest = rest.subarray(length);
    }
    return rest;
  }

  return {
    push(bytes) {
      const taken: TakenLines[] = [];
      const all = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      // A line that was begun stands alone: together with the others it could be more than a chunk.
      const first = held.length === 0 && long === undefined ? 0 : format.firstLineEnd(all);
      if (first > 0) {
        const line = cut(all.subarray(0, first), taken);
        taken.push(long === undefined ? { bytes: line } : part(line, true));
      }
      const last = long === undefined ? format.lastLineEnd(all) : 0;
      if (last > first) taken.push({ bytes: all.subarray(first, last) });
      held = Buffer.from(cut(all.subarray(Math.max(first, last)), taken));
      return taken;
    },

    end() {
      const rest = held;
      held = Buffer.alloc(0);
      if (rest.length === 0 && long === undefined) return [];
      return [long === undefined ? { bytes: rest } : part(rest, true)];
    },

    get heldBytes() {
      return held.length;
    },
  };
}
