import { expect, test } from 'vitest';
import type { EventsStatus } from '../../events/status.ts';
import type { AgentStatus } from './status.ts';
import { type Look, ratesBetween } from './top.ts';

const nothing = { items: 0, lagBytes: 0, waitingEvents: 0, escapedLines: 0, splitEvents: 0 };

function lookAt(atMs: number, events: number, changes: Partial<AgentStatus> = {}): Look {
  const shipping: EventsStatus = {
    sources: [{ name: 'app', events, bytes: 10 * events, ...nothing }],
    spool: {
      batches: 0,
      bytes: 0,
      bytesMax: 100,
      isSealed: true,
      isFailing: false,
      isFull: false,
      fileBytes: 0,
      lostBatches: 0,
      lostEvents: 0,
      quarantineBytes: 0,
    },
    sent: { events, bytes: 36 * events, batches: 0, refused: 0, failures: 0 },
    deadLetter: { events: 0, bytes: 0 },
    failingStreams: 0,
  };
  const status: AgentStatus = {
    state: 'ready',
    failing: [],
    name: 'web-1',
    version: '1.2.3',
    pid: 1,
    startedAt: '2026-11-22T12:00:00.000Z',
    credentials: {},
    secrets: [],
    deliveries: [],
    consumers: [],
    refusedReads: 0,
    events: shipping,
    logLevel: { level: 'info', configured: 'info' },
    counters: {},
    lastErrors: [],
    ...changes,
  };
  return { time: '2026-11-22T12:00:00.000Z', atMs, status };
}

test('a rate is what came in a second, whatever lies between the looks', () => {
  expect(ratesBetween(lookAt(1000, 100), lookAt(3000, 300))).toEqual({
    overMs: 2000,
    sources: [{ name: 'app', eventsPerSecond: 100, bytesPerSecond: 1000 }],
    sent: { eventsPerSecond: 100, bytesPerSecond: 3600 },
  });
});

test('a source that was not there before had nothing then', () => {
  const before = lookAt(0, 0);
  const now = lookAt(1000, 50);
  const other = { ...now.status.events?.sources[0], name: 'other' };
  Object.assign(now.status.events ?? {}, { sources: [other] });

  expect(ratesBetween(before, now)?.sources).toEqual([
    { name: 'other', eventsPerSecond: 50, bytesPerSecond: 500 },
  ]);
});

test.each<[string, Look, Look]>([
  ['another process', lookAt(0, 100), lookAt(1000, 5, { pid: 2 })],
  ['another life', lookAt(0, 100), lookAt(1000, 5, { startedAt: '2026-11-22T12:00:01.000Z' })],
  ['no time between', lookAt(0, 100), lookAt(0, 200)],
])('there is no rate over %s', (_what, before, now) => {
  expect(ratesBetween(before, now)).toBeUndefined();
});

test('there is none where nothing is shipped', () => {
  const { events: _, ...status } = lookAt(0, 0).status;

  expect(ratesBetween({ ...lookAt(0, 0), status }, { ...lookAt(1000, 0), status })).toBeUndefined();
});
