import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { FakeClock } from '../../test/support/fake-clock.ts';
import { patient } from '../../test/support/patience.ts';
import { encodeChunk, type SingleEvent } from './batch.ts';
import type { Chunk, EventSource, Positions } from './event-source.ts';

export interface Reading {
  /** What came so far, as lines. */
  lines(): string[];
  /** The same as CloudWatch Logs will have it. */
  readonly messages: string[];
  /** The positions as a spool would have kept them. */
  readonly positions: Map<string, string>;
  stop(): Promise<void>;
  readonly signal: AbortSignal;
}

/** A chunk's events in the order in which they came: a batch puts them into that of their times. */
export function eventsIn(chunk: Chunk): readonly SingleEvent[] {
  return encodeChunk(chunk.bytes, chunk.timeMs, chunk).pieces.flatMap(({ json }): SingleEvent[] =>
    JSON.parse(`[${json.toString()}]`),
  );
}

/** Pulls all that a source gives, until it is stopped. */
export function reading(source: EventSource, from: Positions = new Map()): Reading {
  const stopping = new AbortController();
  const positions = new Map(from);
  const messages: string[] = [];
  let text = '';
  const done = (async () => {
    for await (const chunk of source.chunks(from, stopping.signal)) {
      const { bytes, positions: moved } = chunk;
      messages.push(...eventsIn(chunk).map(({ message }) => message));
      const added = bytes.toString();
      text += added === '' || added.endsWith('\n') ? added : `${added}⏎\n`;
      for (const { item, value } of moved) {
        if (value === undefined) positions.delete(item);
        else positions.set(item, value);
      }
      chunk.onDurable?.();
    }
  })();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await done;
  };
  onTestFinished(stop);
  return { lines: () => text.split('\n').slice(0, -1), messages, positions, stop, signal: stopping.signal };
}

/** The next chunk with lines: others move positions alone. */
async function nextLines(iterator: AsyncIterator<Chunk>): Promise<Chunk> {
  for (;;) {
    const { value, done } = await iterator.next();
    if (done === true) throw new Error('the source has ended');
    if (value.bytes.length > 0) return value;
    value.onDurable?.();
  }
}

export interface SourceMaking {
  readonly source: EventSource;
  readonly clock: FakeClock;
  /** Where the source knows when each line was written. */
  readonly writtenMs?: number;
  /** Makes these lines come in, one after the other. */
  readonly write: (lines: readonly string[]) => Promise<void>;
}

/** What every source must do. */
export function eventSourceContract(name: string, make: () => SourceMaking): void {
  describe(`${name} as an event source`, () => {
    test('hands every line on, once and in order', async () => {
      const { source, clock, write } = make();
      const read = reading(source);

      await write(['one', 'two']);
      await write(['three']);
      await vi.waitFor(async () => {
        await clock.advance(10_000);
        expect(read.messages).toEqual(['one', 'two', 'three']);
      }, patient);

      expect(source.counts().lagBytes).toBe(0);
    });

    test('ends without an error when it is stopped', async () => {
      const { source, clock, write } = make();
      const read = reading(source);
      await write(['one']);
      await clock.advance(10_000);

      await expect(read.stop()).resolves.toBeUndefined();
    });

    test('waits while nobody asks', async () => {
      const { source, clock, write } = make();
      const stopping = new AbortController();
      const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();

      await write(['one']);
      const first = await nextLines(iterator);
      first.onDurable?.();
      await write(['two']);
      await clock.advance(60_000);
      const second = nextLines(iterator);
      await clock.advance(60_000);

      expect(first.bytes.toString().trimEnd()).toBe('one');
      expect((await second).bytes.toString().trimEnd()).toBe('two');
      stopping.abort();
      await iterator.return?.();
    });

    test('gives each chunk its time', async () => {
      const { source, clock, write, writtenMs } = make();
      const stopping = new AbortController();
      const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();

      await write(['one']);
      const { timeMs } = await nextLines(iterator);

      expect(timeMs).toBe(writtenMs ?? clock.now().getTime());
      stopping.abort();
      await iterator.return?.();
    });
  });
}
