import { expect, test } from 'vitest';
import { memoryFolders, spoolFixture } from '../../test/support/spool-fixture.ts';
import { eventsError } from './errors.ts';
import type { Chunk, EventSource } from './event-source.ts';
import { pipeline } from './pipeline.ts';
import { memorySink } from './sink/memory.ts';
import { a } from './spool.contract.ts';
import { wake } from './wake.ts';

const minutes = 30 * 60;
const outage = { from: 10 * 60, to: 14 * 60 };
const timeoutMs = 60_000;

test(
  'thirty hours on a fake clock, four of them without CloudWatch Logs: all arrives, and nothing piles up',
  async () => {
    const { clock, open, log, named, keeper, events } = spoolFixture({ segmentBytes: 64 * 1024 });
    const folders = memoryFolders();
    const spool = await open(folders);
    const sink = memorySink();
    const bell = wake();
    const chunks: Chunk[] = [];
    const source: EventSource = {
      async *chunks(_from, signal) {
        while (!signal.aborted) {
          for (let next = chunks.shift(); next !== undefined; next = chunks.shift()) yield next;
          await bell.rung(signal);
        }
      },
      counts: () => ({ lagBytes: 0, items: 1 }),
    };
    const sources = [{ name: 'app', source, streamOf: () => a }];
    const line = pipeline({ sources, spool, sink, clock, log });
    const stop = new AbortController();
    const done = line.run(stop.signal);
    const segments: number[] = [];
    for (let minute = 0; minute < minutes; minute += 1) {
      const isAway = minute >= outage.from && minute < outage.to;
      sink.onSend = () => (isAway ? Promise.reject(eventsError('EVENTS_UNREACHABLE')) : []);
      chunks.push({
        bytes: Buffer.from(`${minute} ${'x'.repeat(500)}\n`),
        timeMs: clock.now().getTime(),
        positions: [{ item: 'file', value: String(minute + 1) }],
        file: undefined,
      });
      bell.ring();
      await clock.advance(60_000);
      segments.push(folders.spool.files.size);
    }
    const status = line.status();
    stop.abort();
    await done.catch(() => undefined);

    expect(sink.messages().map((message) => Number.parseInt(message, 10))).toEqual(
      Array.from({ length: minutes }, (_line, minute) => minute),
    );
    expect(spool.position('app').get('file')).toBe(String(minutes));
    expect(status).toMatchObject({
      failingStreams: 0,
      spool: { batches: 0, isFailing: false, lostBatches: 0 },
    });
    expect(Math.max(...segments.slice(outage.from, outage.to))).toBeGreaterThan(3);
    expect(Math.max(...segments.slice(-60))).toBeLessThanOrEqual(4);
    expect(named('events.key-rotated')).toHaveLength(1);
    expect(keeper.keys.size).toBeLessThanOrEqual(2);
    expect(named('events.wedged')).toEqual([]);
    expect(named('events.send-failed')).toHaveLength(1);
    expect(events.length).toBeLessThan(10);
  },
  timeoutMs,
);
