import { eventsError } from '../errors.ts';
import type { HeldRecord } from './group-writer.ts';
import type { OpenFiles } from './open-files.ts';
import { bodyCheck, type FoundHead, headAt, markOf, settledMark } from './record.ts';
import { nameOf } from './recovery.ts';

export interface StoredRecord {
  readonly head: FoundHead;
  /** As it is stored. */
  readonly body: Buffer;
}

/** Records where they are. */
export interface StoredRecords {
  /** Whoever reads it holds the memory of its body. @throws EVENTS_SPOOL_DAMAGED, EVENTS_SPOOL_UNREADABLE */
  readonly read: (record: HeldRecord) => Promise<StoredRecord>;
  /** What is there, whether or not it is whole. @throws EVENTS_SPOOL_UNREADABLE */
  readonly raw: (record: HeldRecord) => Promise<Buffer>;
  /** Marks it as settled; a power loss may take the mark. @throws EVENTS_SPOOL_UNWRITABLE */
  readonly mark: (record: HeldRecord) => Promise<void>;
  /** Makes marks durable, where the disk does it: without them batches would be sent again, no more. */
  readonly syncMarks: () => Promise<void>;
}

export function storedRecords(files: OpenFiles): StoredRecords {
  const { path } = files;
  /** Segments with marks that may not be on the disk. */
  const marked = new Set<number>();

  async function raw({ segment, at, length }: HeldRecord): Promise<Buffer> {
    try {
      return await (await files.of(nameOf(segment))).read(at, length);
    } catch (error) {
      throw eventsError('EVENTS_SPOOL_UNREADABLE', { path, segment, at }, error);
    }
  }

  return {
    raw,

    async read(record) {
      const { segment, at, length } = record;
      const bytes = await raw(record);
      const head = headAt(bytes, 0);
      if (
        typeof head !== 'object' ||
        head.segment !== segment ||
        head.length !== length ||
        bytes.length < length
      )
        throw eventsError('EVENTS_SPOOL_DAMAGED', { path, segment, at });
      const body = bytes.subarray(length - head.bodyBytes);
      // A sealed body proves itself when it is opened.
      if (head.sealed === undefined && bodyCheck(body, false) !== head.bodyCheck)
        throw eventsError('EVENTS_SPOOL_DAMAGED', { path, segment, at });
      return { head, body };
    },

    async mark({ segment, at }) {
      try {
        await (await files.of(nameOf(segment))).write(settledMark, markOf(at));
        marked.add(segment);
      } catch (error) {
        throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path }, error);
      }
    },

    async syncMarks() {
      const segments = [...marked];
      marked.clear();
      // Of one that was removed meanwhile there is nothing to sync.
      const synced = segments.map(async (segment) => (await files.of(nameOf(segment))).sync());
      await Promise.allSettled(synced);
    },
  };
}
