import { flag, integer, required, text, type Values } from '../constraints.ts';
import type { CallContext, JsonObject } from '../service.ts';
import { type Cursor, isBefore, type OrderedEvents, orderedEvents, type StoredEvent } from './events.ts';
import { filterPattern } from './filter-pattern.ts';
import {
  identifiedGroup,
  identifiedGroupMembers,
  invalidParameter,
  readInput,
  streamName,
  streamOf,
  textList,
} from './input.ts';
import { type LogGroup, type LogStream, type LogsState, retainedSince } from './state.ts';

const pageEventsMax = 10_000;
const pageBytesMax = 1_048_576;
const eventOverheadBytes = 26;

const readingMembers = {
  ...identifiedGroupMembers,
  startTime: integer({ min: 0 }),
  endTime: integer({ min: 0 }),
  nextToken: text({ min: 1 }),
  limit: integer({ min: 1, max: pageEventsMax }),
  startFromHead: flag(),
};
const getMembers = { ...readingMembers, logStreamName: required(streamName) };
const filterMembers = {
  ...readingMembers,
  logStreamNames: textList,
  logStreamNamePrefix: streamName,
  filterPattern: text({ max: 1024 }),
};

type Direction = 'forward' | 'backward';

interface Place {
  readonly direction: Direction;
  readonly cursor: Cursor;
}

export function getLogEvents(input: JsonObject, state: LogsState, { now }: CallContext): JsonObject {
  const asked = readInput(getMembers, input);
  const { limit = pageEventsMax, nextToken: token, startFromHead = false } = asked;
  const group = identifiedGroup(state, asked);
  const events = orderedEvents(streamOf(group, asked.logStreamName));
  // endTime is exclusive here; FilterLogEvents includes it.
  const { from, to } = range(asked, group, now, 0);
  const first = events.positionOf({ timestamp: from, ordinal: 0 });
  const end = Math.max(first, events.positionOf({ timestamp: to, ordinal: 0 }));

  const place = token === undefined ? undefined : placeOf(token, 'GetLogEvents');
  const forward = place === undefined ? startFromHead : place.direction === 'forward';
  const start = clamp(
    place === undefined ? (forward ? first : end) : events.positionOf(place.cursor),
    first,
    end,
  );
  const page = pageOf(events, forward ? 1 : -1, start, forward ? end : first, limit);
  if (!forward) page.reverse();

  const head = page[0];
  const tail = page.at(-1);
  const here = place?.cursor ?? { timestamp: from, ordinal: 0 };
  return {
    events: page.map(({ timestamp, message, ingestedAt }) => ({
      timestamp,
      message,
      ingestionTime: ingestedAt,
    })),
    nextForwardToken: tokenOf('forward', tail === undefined ? here : after(tail)),
    nextBackwardToken: tokenOf('backward', head ?? here),
  };
}

export function filterLogEvents(input: JsonObject, state: LogsState, { now }: CallContext): JsonObject {
  const asked = readInput(filterMembers, input);
  const { limit = pageEventsMax, nextToken: token, startFromHead = true } = asked;
  const group = identifiedGroup(state, asked);
  const streams = searchedStreams(asked, group);
  const matches = filterPattern(asked.filterPattern ?? '');
  const { from, to } = range(asked, group, now, 1);
  const place = token === undefined ? undefined : placeOf(token, 'FilterLogEvents');
  const forward = place === undefined ? startFromHead : place.direction === 'forward';

  const events: JsonObject[] = [];
  let bytes = 0;
  for (const [stream, event] of merged(streams, from, to, place?.cursor, forward)) {
    if (!matches(event.message)) continue;
    bytes += Buffer.byteLength(event.message, 'utf8') + eventOverheadBytes;
    if (events.length === limit || (bytes > pageBytesMax && events.length > 0)) {
      const next = tokenOf(forward ? 'forward' : 'backward', forward ? event : after(event));
      return { events, searchedLogStreams: [], nextToken: next };
    }
    events.push({
      logStreamName: stream.name,
      timestamp: event.timestamp,
      message: event.message,
      ingestionTime: event.ingestedAt,
      eventId: `${event.timestamp}${String(event.ordinal).padStart(43, '0')}`.padStart(56, '0'),
    });
  }
  return { events, searchedLogStreams: [] };
}

/** The events of several streams in one order, between two times and from a cursor on. */
function* merged(
  streams: readonly LogStream[],
  from: number,
  to: number,
  cursor: Cursor | undefined,
  forward: boolean,
): Generator<[LogStream, StoredEvent]> {
  const readers = streams.map((stream) => {
    const events = orderedEvents(stream);
    const first = events.positionOf({ timestamp: from, ordinal: 0 });
    const end = Math.max(first, events.positionOf({ timestamp: to, ordinal: 0 }));
    const start =
      cursor === undefined ? (forward ? first : end) : clamp(events.positionOf(cursor), first, end);
    let position = forward ? start : start - 1;
    const peek = (): StoredEvent | undefined =>
      position >= first && position < end ? events.at(position) : undefined;
    const reader = {
      stream,
      head: peek(),
      advance() {
        position += forward ? 1 : -1;
        reader.head = peek();
      },
    };
    return reader;
  });
  for (;;) {
    let next: { readonly reader: (typeof readers)[number]; readonly event: StoredEvent } | undefined;
    for (const reader of readers) {
      const event = reader.head;
      if (event === undefined) continue;
      if (next === undefined || isBefore(event, next.event) === forward) next = { reader, event };
    }
    if (next === undefined) return;
    yield [next.reader.stream, next.event];
    next.reader.advance();
  }
}

function searchedStreams(
  { logStreamNames: names, logStreamNamePrefix: prefix }: Values<typeof filterMembers>,
  group: LogGroup,
): readonly LogStream[] {
  if (names !== undefined && prefix !== undefined) {
    throw invalidParameter('LogStreamNames and LogStreamNamePrefix are mutually exclusive parameters.');
  }
  if (names !== undefined) return [...new Set(names)].map((name) => streamOf(group, name));
  return Object.values(group.streams).filter(({ name }) => name.startsWith(prefix ?? ''));
}

/** The half-open time range asked for, less what has expired. */
function range(
  { startTime = 0, endTime }: Values<typeof readingMembers>,
  group: LogGroup,
  now: Date,
  endInclusiveMs: 0 | 1,
) {
  if (endTime !== undefined && startTime > endTime) {
    throw invalidParameter('Invalid time range. Start time should be less than or equal to end time.');
  }
  const from = Math.max(startTime, retainedSince(group, now) ?? 0);
  return { from, to: endTime === undefined ? Number.MAX_SAFE_INTEGER : endTime + endInclusiveMs };
}

/** Up to `limit` events and 1 MiB from `start` towards `stop`; at least one where there is one. */
function pageOf(
  events: OrderedEvents,
  step: 1 | -1,
  start: number,
  stop: number,
  limit: number,
): StoredEvent[] {
  const page: StoredEvent[] = [];
  let bytes = 0;
  for (let position = start; position !== stop && page.length < limit; position += step) {
    const event = events.at(step === 1 ? position : position - 1);
    bytes += Buffer.byteLength(event.message, 'utf8') + eventOverheadBytes;
    if (bytes > pageBytesMax && page.length > 0) break;
    page.push(event);
  }
  return page;
}

function after({ timestamp, ordinal }: Cursor): Cursor {
  return { timestamp, ordinal: ordinal + 1 };
}

function clamp(position: number, min: number, max: number): number {
  return Math.min(Math.max(position, min), max);
}

function tokenOf(direction: Direction, { timestamp, ordinal }: Cursor): string {
  const digits = `${String(timestamp).padStart(16, '0')}${String(ordinal).padStart(40, '0')}`;
  return `${direction === 'forward' ? 'f' : 'b'}/${digits}/s`;
}

function placeOf(token: string, operation: string): Place {
  const parts = /^([fb])\/(\d{16})(\d{40})\/s$/u.exec(token);
  if (parts === null) throw invalidParameter(`The specified nextToken is invalid for ${operation}.`);
  return {
    direction: parts[1] === 'f' ? 'forward' : 'backward',
    cursor: { timestamp: Number(parts[2]), ordinal: Number(parts[3]) },
  };
}
