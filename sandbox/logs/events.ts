import type { LogBatch, LogStream } from './state.ts';

export interface StoredEvent {
  readonly timestamp: number;
  /** Of the event's arrival among all of its group; breaks ties of `timestamp`. */
  readonly ordinal: number;
  readonly ingestedAt: number;
  readonly message: string;
}

/** A place between two events: before the first one whose (timestamp, ordinal) is not less. */
export interface Cursor {
  readonly timestamp: number;
  readonly ordinal: number;
}

/** A stream's events by timestamp, and by arrival where that is the same. Positions count from 0. */
export interface OrderedEvents {
  readonly count: number;
  at(position: number): StoredEvent;
  /** The position of the first event at or after a cursor; `count` if there is none. */
  positionOf(cursor: Cursor): number;
}

/** Sorted orders of the streams whose events came out of order, each for the count of events it was made for. */
const orders = new WeakMap<LogStream, Uint32Array>();

export function orderedEvents(stream: LogStream): OrderedEvents {
  const order = stream.inOrder ? undefined : orderOf(stream);
  const at = (position: number): StoredEvent => eventAt(stream, order?.[position] ?? position);
  return {
    count: stream.eventCount,
    at,
    positionOf(cursor) {
      let low = 0;
      let high = stream.eventCount;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (isBefore(at(middle), cursor)) low = middle + 1;
        else high = middle;
      }
      return low;
    },
  };
}

export function isBefore(event: Cursor, cursor: Cursor): boolean {
  return (
    event.timestamp < cursor.timestamp ||
    (event.timestamp === cursor.timestamp && event.ordinal < cursor.ordinal)
  );
}

function orderOf(stream: LogStream): Uint32Array {
  const known = orders.get(stream);
  if (known?.length === stream.eventCount) return known;
  const timestamps = Float64Array.from(stream.batches.flatMap((batch) => batch.timestamps));
  // Sorting is stable: the same timestamp keeps the order of arrival.
  const order = Uint32Array.from(timestamps.keys()).toSorted(
    (left, right) => (timestamps[left] ?? 0) - (timestamps[right] ?? 0),
  );
  orders.set(stream, order);
  return order;
}

function eventAt(stream: LogStream, arrival: number): StoredEvent {
  const batch = batchAt(stream.batches, arrival);
  const index = arrival - batch.firstPosition;
  const timestamp = batch.timestamps[index];
  const end = batch.ends[index];
  if (timestamp === undefined || end === undefined) throw new RangeError(`no event at ${arrival}`);
  return {
    timestamp,
    ordinal: batch.firstOrdinal + index,
    ingestedAt: batch.ingestedAt,
    message: batch.text.slice(index === 0 ? 0 : batch.ends[index - 1], end),
  };
}

/** The last batch that begins at or before `arrival`. */
function batchAt(batches: readonly LogBatch[], arrival: number): LogBatch {
  let low = 0;
  let high = batches.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((batches[middle]?.firstPosition ?? 0) <= arrival) low = middle;
    else high = middle - 1;
  }
  const batch = batches[low];
  if (batch === undefined) throw new RangeError('a stream without batches has no event');
  return batch;
}
