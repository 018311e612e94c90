import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Batch, SingleEvent, StreamName } from '../batch.ts';
import { eventsError } from '../errors.ts';
import { eventsEvent } from '../log-events.ts';
import type { DeadLetter, RefusalReason, RefusedEvent } from '../spool.ts';
import type { BodySealer, HeldRecord } from './group-writer.ts';
import { recordKind } from './record.ts';
import { type Damage, openRecordLog } from './record-log.ts';
import type { Storage } from './storage.ts';
import type { StoredRecord } from './stored-records.ts';

export interface DeadLettersOptions {
  readonly storage: Storage;
  readonly bytesMax: number;
  readonly sealer: () => Promise<BodySealer | undefined>;
  readonly opened: (stored: StoredRecord, context: string) => Promise<Buffer>;
  readonly onDamage: (damage: Damage) => Promise<void>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** What letters know of the batch they are of. */
export type RefusedOf = Pick<Batch, 'stream' | 'mayHaveMetrics'>;

/** Events that CloudWatch Logs refused, in a record log of their own. */
export interface DeadLetters {
  /** Makes them durable; those of the batch that are there already are not added again. */
  add(batchId: number, batch: RefusedOf, refused: readonly RefusedEvent[]): Promise<void>;
  /** Oldest first. */
  list(limit: number, after: number): readonly DeadLetter[];
  /** @throws EVENTS_SPOOL_DAMAGED, EVENTS_SPOOL_UNREADABLE, EVENTS_SPOOL_KEY_… */
  open(id: number): Promise<SingleEvent | undefined>;
  remove(id: number): Promise<boolean>;
  /** Removes those of batches that are still to be sent: they are refused once more, or taken. */
  forgetBatches(isThere: (batchId: number) => boolean): Promise<void>;
  readonly count: number;
  readonly bytes: number;
  /** As of the record log. */
  readonly unreadBytes: number;
  readonly keys: ReadonlyMap<string, number>;
  /** The highest id of a batch that a letter is of. */
  readonly batchIdMax: number;
  close(): Promise<void>;
}

/** How often it is said that the oldest events were lost. */
const sayLostEveryMs = 60 * 60 * 1000;

/** Its `bytes` are those that were counted when it came: a record that is moved gets longer. */
interface Letter extends DeadLetter {
  readonly batchId: number;
  /** Which of the batch's refused events it is. */
  readonly index: number;
  readonly record: HeldRecord;
}

interface LetterMeta {
  readonly id: number;
  readonly batch: number;
  readonly index: number;
  readonly group: string;
  readonly stream: string;
  readonly roleOf?: string;
  readonly reason: RefusalReason;
  readonly refusedMs: number;
  /** As in `Batch`. */
  readonly mayHaveMetrics?: boolean;
}

export async function openDeadLetters(options: DeadLettersOptions): Promise<DeadLetters> {
  const { storage, bytesMax, clock, log } = options;
  const letters = new Map<number, Letter>();
  /** While the records are read: a copy of a removed letter may follow. */
  const removed = new Set<number>();
  let lastId = 0;
  let batchIdMax = 0;
  let bytes = 0;
  /** Since it was last said. */
  let lost = 0;
  let saidLostMs = -Infinity;
  const records = await openRecordLog({
    storage,
    segmentBytes: Math.max(2 ** 20, Math.floor(bytesMax / 16)),
    sealer: options.sealer,
    state: () => lastId,
    restore(id) {
      lastId = Math.max(lastId, id);
    },
    replay({ kind, json, record, isSettled }) {
      if (kind !== recordKind.letter) return;
      const meta: LetterMeta = JSON.parse(json);
      const letter = letterOf(meta, record);
      lastId = Math.max(lastId, letter.id);
      batchIdMax = Math.max(batchIdMax, letter.batchId);
      if (isSettled) {
        removed.add(letter.id);
        letters.delete(letter.id);
      } else if (!removed.has(letter.id)) letters.set(letter.id, letter);
    },
    held: () => [...letters.values()].map(({ record }) => record),
    onDamage: options.onDamage,
    onCut: () => undefined,
  });
  removed.clear();
  // Ids of letters that did not read: none of them took less than a byte.
  lastId += records.unreadBytes;
  bytes = [...letters.values()].reduce((sum, letter) => sum + letter.bytes, 0);

  /** Makes room, oldest first; returns how many went. */
  async function trim(): Promise<number> {
    let count = 0;
    for (const { id } of letters.values()) {
      if (bytes <= bytesMax) break;
      if (await remove(id)) count += 1;
    }
    return count;
  }

  async function remove(id: number): Promise<boolean> {
    const letter = letters.get(id);
    if (letter === undefined) return false;
    await records.settle(letter.record);
    if (letters.delete(id)) bytes -= letter.bytes;
    return true;
  }

  return {
    async add(batchId, { stream, mayHaveMetrics = false }, refused) {
      const { logGroup, logStream, roleOf } = stream;
      const there = new Set(
        [...letters.values()].flatMap((letter) => (letter.batchId === batchId ? [letter.index] : [])),
      );
      const refusedMs = clock.now().getTime();
      const added = refused.flatMap(({ reason, timestamp, message }, index) => {
        if (there.has(index)) return [];
        lastId += 1;
        const meta = {
          id: lastId,
          batch: batchId,
          index,
          group: logGroup,
          stream: logStream,
          ...(roleOf === undefined ? {} : { roleOf }),
          reason,
          refusedMs,
          ...(mayHaveMetrics ? { mayHaveMetrics } : {}),
        } satisfies LetterMeta;
        const body = Buffer.from(JSON.stringify({ timestamp, message }));
        const draft = {
          kind: recordKind.letter,
          meta,
          body,
          context: contextOf(meta.id, stream),
        };
        const onDurable = (record: HeldRecord): void => {
          const letter = letterOf(meta, record);
          letters.set(letter.id, letter);
          bytes += letter.bytes;
        };
        return records.append({ draft, onDurable });
      });
      await allOf(added);
      lost += await trim();
      const now = clock.now().getTime();
      // Not each time: it is audited, and where audit records are what is refused, one would be the cause of the next.
      if (lost > 0 && now - saidLostMs >= sayLostEveryMs) {
        log(eventsEvent('events.dead-letter-full', { events: lost, bytesMax }));
        saidLostMs = now;
        lost = 0;
      }
    },

    list(limit, after) {
      const found: DeadLetter[] = [];
      for (const { batchId: _batchId, index: _index, record: _record, ...letter } of letters.values()) {
        if (found.length >= limit) break;
        if (letter.id > after) found.push(letter);
      }
      return found;
    },

    async open(id) {
      const letter = letters.get(id);
      if (letter === undefined) return undefined;
      const body = await options.opened(await records.read(letter.record), contextOf(id, letter.stream));
      const event: unknown = JSON.parse(body.toString());
      if (!isSingleEvent(event)) throw eventsError('EVENTS_SPOOL_DAMAGED', { letter: id });
      return event;
    },

    remove,

    async forgetBatches(isThere) {
      for (const { id, batchId } of letters.values()) if (isThere(batchId)) await remove(id);
    },

    get count() {
      return letters.size;
    },
    get bytes() {
      return bytes;
    },
    unreadBytes: records.unreadBytes,
    keys: records.keys,
    get batchIdMax() {
      return batchIdMax;
    },
    close: () => records.close(),
  };
}

function letterOf(
  { id, batch, index, group, stream, roleOf, reason, refusedMs, mayHaveMetrics }: LetterMeta,
  record: HeldRecord,
): Letter {
  const name = { logGroup: group, logStream: stream, ...(roleOf === undefined ? {} : { roleOf }) };
  const flag = mayHaveMetrics === undefined ? {} : { mayHaveMetrics };
  const own = { id, stream: name, reason, refusedMs, ...flag, bytes: record.length };
  return { ...own, batchId: batch, index, record };
}

/** All have ended when it resolves or rejects. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function contextOf(id: number, { logGroup, logStream, roleOf }: StreamName): string {
  return JSON.stringify(['dead letter', id, logGroup, logStream, ...(roleOf === undefined ? [] : [roleOf])]);
}

function isSingleEvent(value: unknown): value is SingleEvent {
  return typeof value === 'object' && value !== null && 'timestamp' in value && 'message' in value;
}
