import { hash } from 'node:crypto';
import type { Batch, SingleEvent } from '../batch.ts';
import { type RefusedEvent, streamKey } from '../spool.ts';

/** How far a batch has come that is invalid as a whole and is delivered part by part. */
export interface PartialDelivery {
  /** The next part to try: its events, from `from` on. Undefined when all is settled. */
  next(): { readonly from: number; readonly events: readonly SingleEvent[] } | undefined;
  /** The next part was taken, but for these. */
  taken(refused: readonly RefusedEvent[]): void;
  /**
   * The next part is invalid: it is halved, or refused when it is one event. False when so many single events were
   * refused in a row and none taken that the request must be what is invalid.
   */
  invalid(): boolean;
  /** What was refused, in the order of the batch. */
  refused(): readonly RefusedEvent[];
}

/** The batches that are partly delivered, so that what was taken is not sent again when a try ends before its end. */
export interface PartialDeliveries {
  /** Undefined when the batch was not begun. */
  of(batch: Batch): PartialDelivery | undefined;
  begin(batch: Batch, events: readonly SingleEvent[]): PartialDelivery;
  /** Forgets what is known of the batch of this stream. */
  end(batch: Batch): void;
  /** The stream took something: its names are valid. */
  streamTakes(batch: Batch): void;
}

/** So many single events refused in a row, and none taken, and it is not the events. */
const invalidInARowMax = 32;
/** Streams with a batch under way; beyond them the oldest is sent again whole. */
const partialsMax = 64;
/** Streams of which nothing was taken yet that are remembered. */
const streamsMax = 1_000;

export function partialDeliveries(): PartialDeliveries {
  const partials = new Map<string, { readonly digest: string; readonly delivery: PartialDelivery }>();
  /** Single events refused in a row over the batches of a stream. */
  const inARow = new Map<string, number>();

  return {
    of(batch) {
      const partial = partials.get(streamKey(batch.stream));
      return partial !== undefined && partial.digest === digestOf(batch) ? partial.delivery : undefined;
    },

    begin(batch, events) {
      const key = streamKey(batch.stream);
      const delivery = partialDelivery(events, inARow.get(key) ?? 0, (count) => {
        inARow.delete(key);
        if (count > 0) setWithin(inARow, key, count, streamsMax);
      });
      setWithin(partials, key, { digest: digestOf(batch), delivery }, partialsMax);
      return delivery;
    },

    end: (batch) => void partials.delete(streamKey(batch.stream)),
    streamTakes: (batch) => void inARow.delete(streamKey(batch.stream)),
  };
}

function partialDelivery(
  events: readonly SingleEvent[],
  refusedBefore: number,
  noteInARow: (count: number) => void,
): PartialDelivery {
  /** Parts to try, the next one last. */
  const parts = [{ from: 0, to: events.length }];
  const refused: { readonly at: number; readonly event: RefusedEvent }[] = [];
  let inARow = refusedBefore;
  let isAnyTaken = false;

  /** The batch's last event next: where it is taken, the first ones are bad and not the request. */
  function probeLast(): void {
    const last = parts[0];
    if (last === undefined) return;
    last.to -= 1;
    const probe = { from: last.to, to: last.to + 1 };
    if (last.from === last.to) parts.shift();
    parts.push(probe);
  }

  return {
    next() {
      const part = parts.at(-1);
      return part === undefined ? undefined : { from: part.from, events: events.slice(part.from, part.to) };
    },

    taken(refusedOfPart) {
      const part = parts.pop();
      isAnyTaken = true;
      inARow = 0;
      noteInARow(0);
      for (const event of refusedOfPart) refused.push({ at: part?.from ?? 0, event });
    },

    invalid() {
      const part = parts.pop();
      const event = part === undefined ? undefined : events[part.from];
      if (part === undefined || event === undefined) return true;
      const { from, to } = part;
      if (to - from > 1) {
        const middle = (from + to) >> 1;
        parts.push({ from: middle, to }, { from, to: middle });
        return true;
      }
      refused.push({ at: from, event: { ...event, reason: 'invalid' } });
      inARow += 1;
      noteInARow(Math.min(inARow, invalidInARowMax - 1));
      if (isAnyTaken || inARow < invalidInARowMax) return true;
      if (inARow > invalidInARowMax || parts.length === 0) return false;
      probeLast();
      return true;
    },

    refused: () => refused.toSorted((one, other) => one.at - other.at).map(({ event }) => event),
  };
}

function digestOf({ body }: Batch): string {
  return hash('sha256', body, 'hex');
}

/** Sets, and drops the oldest entry where there are too many. */
function setWithin<Value>(map: Map<string, Value>, key: string, value: Value, entriesMax: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > entriesMax && oldest !== undefined) map.delete(oldest);
}
