import { returnBody } from '../body-memory.ts';
import { type Appended, groupBytesMax, type HeldRecord } from './group-writer.ts';
import { contentOf, recordKind } from './record.ts';
import type { Segment, Segments } from './segments.ts';
import type { StoredRecord } from './stored-records.ts';

export interface CompactionOptions {
  readonly segments: Segments;
  readonly segmentBytes: number;
  readonly read: (record: HeldRecord) => Promise<StoredRecord>;
  readonly append: (record: Appended) => Promise<void>;
  /** Marks a record as settled where it is. */
  readonly mark: (record: HeldRecord) => Promise<void>;
  /** A segment was emptied. */
  readonly onEmptied: () => void;
}

/** Moves what is needed out of the segment that has the least of it, when too much that is not is borne. */
export interface Compaction {
  /** Looks whether too much is borne in segments before this one. */
  look(before: number): void;
  /** While a segment is being emptied. */
  readonly underWay: Promise<void> | undefined;
}

/** Bytes that nobody needs are borne up to one segment, or this part of those that are needed. */
export const garbageShare = 0.25;
/** Records that are moved at the same time. */
const movesMax = 256;

export function compaction(options: CompactionOptions): Compaction {
  const { segments, segmentBytes, read, append, mark, onEmptied } = options;
  let underWay: Promise<void> | undefined;

  async function compact(segment: Segment): Promise<void> {
    const isMoved = await moveOut(segment);
    underWay = undefined;
    if (isMoved) onEmptied();
  }

  /** False where it cannot be done now. */
  async function moveOut({ held }: Segment): Promise<boolean> {
    const moves: Promise<void>[] = [];
    let bytes = 0;
    try {
      for (const record of held) {
        moves.push(moveToNewest(record));
        bytes += record.length;
        if (bytes >= groupBytesMax || moves.length >= movesMax) {
          await Promise.all(moves.splice(0));
          bytes = 0;
        }
      }
      await Promise.all(moves);
      return true;
    } catch {
      await Promise.allSettled(moves);
      return false;
    }
  }

  async function moveToNewest(record: HeldRecord): Promise<void> {
    const { head, body } = await read(record);
    const { kind, json } = contentOf(head);
    const draft = { kind: recordKind.moved, meta: [kind, json], body, sealed: head.sealed };
    let needless: HeldRecord | undefined;
    const onDurable = (copy: HeldRecord): void => {
      segments.release(copy);
      if (!segments.isHeld(record)) {
        // Settled meanwhile, where it was.
        needless = copy;
        return;
      }
      segments.release(record);
      record.segment = copy.segment;
      record.at = copy.at;
      // A copy says that it is one: it is longer.
      record.length = copy.length;
      segments.hold(record);
    };
    await append({ draft, onDurable });
    returnBody(body);
    // Waited for, so that no stop comes before it.
    if (needless !== undefined) await mark(needless).catch(() => undefined);
  }

  return {
    look(before) {
      if (underWay !== undefined) return;
      const older = [...segments.all.values()].filter(
        ({ number, unreadBytes }) => number < before && unreadBytes === 0,
      );
      const needed = older.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
      // What is needed takes so many segments, each with a checkpoint: to move it would write these anew, for ever.
      const checkpoints = Math.ceil(needed / segmentBytes) * Math.max(0, ...older.map(checkpointBytesOf));
      const garbage = older.reduce((sum, { end }) => sum + end, 0) - needed - checkpoints;
      if (garbage <= Math.max(segmentBytes, needed * garbageShare)) return;
      const [emptiest] = older.toSorted((a, b) => a.heldBytes / a.end - b.heldBytes / b.end);
      if (emptiest === undefined || emptiest.held.size === 0) return;
      underWay = compact(emptiest);
    },
    get underWay() {
      return underWay;
    },
  };
}

function checkpointBytesOf({ checkpointBytes }: Segment): number {
  return checkpointBytes;
}
