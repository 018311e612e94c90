import type { HeldRecord } from './group-writer.ts';
import { nameOf } from './recovery.ts';

/** A file of the log. */
export interface Segment {
  readonly number: number;
  readonly name: string;
  /** Where the next record goes, or where the last one ended. */
  end: number;
  readonly held: Set<HeldRecord>;
  heldBytes: number;
  /**
   * Bytes that the disk did not give when it was read. While there are any it is kept, whatever is held in it: nobody
   * knows what waits in it, and the next opening looks again. A sector that never reads costs the file, and no event.
   */
  readonly unreadBytes: number;
  /** Of the checkpoint that it begins with: it may be larger than all that follows. */
  checkpointBytes: number;
}

/** The segments of a log, and the records in them that are still needed. */
export interface Segments {
  /** By number, oldest first. */
  readonly all: ReadonlyMap<number, Segment>;
  readonly fileBytes: number;
  readonly unreadBytes: number;
  /** How many held records each key seals. */
  readonly keys: ReadonlyMap<string, number>;
  add(segment: Segment): void;
  remove(number: number): void;
  /** @throws RangeError where its segment is not here */
  hold(record: HeldRecord): void;
  isHeld(record: HeldRecord): boolean;
  release(record: HeldRecord): void;
}

export function emptySegment(
  number: number,
  { end = 0, unreadBytes = 0, checkpointBytes = 0 } = {},
): Segment {
  return { number, name: nameOf(number), end, held: new Set(), heldBytes: 0, unreadBytes, checkpointBytes };
}

export function segmentsOfLog(): Segments {
  const all = new Map<number, Segment>();
  const keys = new Map<string, number>();
  const sum = (of: (segment: Segment) => number): number =>
    [...all.values()].reduce((total, segment) => total + of(segment), 0);

  return {
    all,
    keys,
    get fileBytes() {
      return sum(({ end }) => end);
    },
    get unreadBytes() {
      return sum(({ unreadBytes }) => unreadBytes);
    },

    add: (segment) => void all.set(segment.number, segment),
    remove: (number) => void all.delete(number),

    hold(record) {
      const segment = all.get(record.segment);
      if (segment === undefined) throw new RangeError('a record is held in its segment');
      segment.held.add(record);
      segment.heldBytes += record.length;
      if (record.keyId !== undefined) keys.set(record.keyId, (keys.get(record.keyId) ?? 0) + 1);
    },

    isHeld: (record) => all.get(record.segment)?.held.has(record) ?? false,

    release(record) {
      const segment = all.get(record.segment);
      if (segment?.held.delete(record) !== true) return;
      segment.heldBytes -= record.length;
      if (record.keyId === undefined) return;
      const left = (keys.get(record.keyId) ?? 1) - 1;
      if (left === 0) keys.delete(record.keyId);
      else keys.set(record.keyId, left);
    },
  };
}
