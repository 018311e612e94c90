import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { setup } from '../../../test/support/pipeline-rig.ts';
import { eventsOf } from '../batch.ts';
import type { Spool } from '../spool.ts';
import type { PipelineLimits } from './limits.ts';
import type { PipelineSource } from './source.ts';

const at = (positions: readonly { value: string | undefined }[]): string[] =>
  positions.map(({ value }) => `@${value}`);

/** Streams named by what events say, and a spool that tells in which order things became durable. */
function spreadSetup(limits: Partial<PipelineLimits> = {}) {
  const { clock, spool, sink, give, start, scripted } = setup({ limits });
  const kept: string[] = [];
  const gate = { opened: Promise.resolve() };
  const ordered: Spool = {
    ...spool,
    async append(batch, positions, signal) {
      await gate.opened;
      const id = await spool.append(batch, positions, signal);
      kept.push(...eventsOf(batch).map(({ message }) => message.slice(0, 8).trim()), ...at(positions));
      return id;
    },
    async keep(positions) {
      await spool.keep(positions);
      kept.push(...at(positions));
    },
  };
  const [first] = scripted;
  if (first === undefined) throw new Error('no source');
  const source: PipelineSource = {
    name: 's0',
    source: first.source,
    isSpread: true,
    streamOf: (_file, [field = '-'] = []) => ({ logGroup: 'g', logStream: field }),
  };
  return { clock, sink, spool, give, kept, gate, ...start({ spool: ordered, sources: [source] }) };
}

describe('a source whose lines go to several streams', () => {
  test('brings each line to its stream, and moves on once all of them are durable', async () => {
    const { clock, sink, spool, give, kept } = spreadSetup();

    give('a1\n', undefined, 'f', undefined, ['a']);
    give('b1\n', 1, 'f', undefined, ['b']);
    give('a2\n', 2, 'f', undefined, ['a']);
    await clock.advance(1_000);

    expect([sink.messages('a'), sink.messages('b')]).toEqual([['a1', 'a2'], ['b1']]);
    expect(kept).toEqual(['a1', 'a2', 'b1', '@2']);
    expect(spool.position('s0').get('item')).toBe('2');
  });

  test('tells who waits once what came before is durable in every stream', async () => {
    const { clock, give, gate, kept } = spreadSetup();
    const opening = Promise.withResolvers<void>();
    gate.opened = opening.promise;
    const told: string[] = [];

    give('a1\n', undefined, undefined, undefined, ['a']);
    give('b1\n', undefined, undefined, () => told.push(kept.join()), ['b']);
    await clock.advance(1_000);
    const early = [...told];
    opening.resolve();
    await clock.advance(1_000);

    expect(early).toEqual([]);
    expect(told).toEqual(['a1,b1']);
  });

  test('moves on though nothing passes the filter', async () => {
    const { clock, spool, give } = spreadSetup({ keepAfterMs: 5_000 });

    give('', 1);
    await clock.advance(6_000);
    give('', 2);
    await clock.advance(0);

    expect(spool.position('s0').get('item')).toBe('2');
  });

  test('puts what is left into the spool at a stop, and then where it goes on', async () => {
    const { clock, give, kept, line } = spreadSetup({ flushAfterMs: 60_000 });
    give('a1\n', 1, 'f', undefined, ['a']);
    give('b1\n', 2, 'f', undefined, ['b']);
    await clock.advance(0);

    void line.drain(1_000);
    await clock.advance(0);

    expect(kept).toEqual(['a1', 'b1', '@2']);
  });

  test('whatever comes for whichever stream, no position is kept before all that is before it', async () => {
    const step = fc.record({
      stream: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.constantFrom(10, 400_000),
      waitMs: fc.constantFrom(0, 0, 100, 300),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, give, kept } = spreadSetup({ flushAfterMs: 250 });
        for (const [index, { stream, bytes, waitMs }] of steps.entries()) {
          give(`${String(index).padEnd(8)}${'x'.repeat(bytes)}\n`, index, 'f', undefined, [stream]);
          await clock.advance(waitMs);
        }
        await clock.advance(2_000);

        const positions = kept.filter((each) => each.startsWith('@'));
        const missing = positions.flatMap((position) => {
          const there = new Set(kept.slice(0, kept.indexOf(position)));
          const before = Number(position.slice(1)) + 1;
          return Array.from({ length: before }, (_line, index) => String(index)).filter(
            (each) => !there.has(each),
          );
        });
        expect(missing).toEqual([]);
        const numbers = positions.map((position) => Number(position.slice(1)));
        expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
        expect(numbers.at(-1)).toBe(steps.length === 0 ? undefined : steps.length - 1);
      }),
      { numRuns: 40 },
    );
  });
});
