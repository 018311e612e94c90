import { array, assert, asyncProperty, integer } from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FakeClock, fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { encodeChunk, eventsOf } from '../batch.ts';
import { reading } from '../event-source.contract.ts';
import type { Positions } from '../event-source.ts';
import { pipeline } from '../pipeline.ts';
import { memorySink } from '../sink/memory.ts';
import { auditSource } from '../source/audit.ts';
import { memorySpool } from '../spool/memory.ts';
import type { SourcePosition } from '../spool.ts';
import { membersIn } from './chain.ts';
import { type ChainedSource, chainedSource } from './chained-source.ts';
import { headsSource } from './heads-source.ts';
import { auditVerifier } from './verify.ts';

const never = new AbortController().signal;

function setup(from: Positions = new Map(), clock: FakeClock = fakeClock()) {
  const logged: LogEvent[] = [];
  const log = (event: LogEvent): void => void logged.push(event);
  const source = auditSource({ name: 'agent', clock, log });
  const chain = chainedSource({
    name: 'agent',
    source,
    host: { hostId: 'host-1', name: 'web-1' },
    from,
    clock,
    log,
  });
  const push = (...numbers: readonly number[]): void => {
    for (const number of numbers) source.push(JSON.stringify({ time: 't', event: 'e', fields: { number } }));
  };
  return { clock, logged, source, chain, push };
}

const verdict = (lines: readonly string[]) => {
  const verifier = auditVerifier({ mayBeginLate: false, now: new Date(0) });
  for (const line of lines) verifier.record(line);
  return verifier.report();
};

const positionsOf = (positions: Positions): SourcePosition[] =>
  [...positions].map(([item, value]) => ({ source: 'agent', item, value }));

describe('a chained source', () => {
  test('links what is no JSON object as the text it is', async () => {
    const { chain, source } = setup();
    source.push('no JSON');

    const read = reading(chain);
    await read.stop();

    expect(membersIn(read.lines()[1] ?? '')).toMatchObject({ sequence: 1, text: 'no JSON' });
    expect(verdict(read.lines()).isUnbroken).toBe(true);
  });

  test('begins with a genesis that says whose chain it is, and links every record to it', async () => {
    const { chain, push, logged } = setup();
    push(1, 2);

    const read = reading(chain);
    await read.stop();

    const records = read.lines().map(membersIn);
    expect(records).toMatchObject([
      { event: 'audit.genesis', sequence: 0, fields: { hostId: 'host-1', name: 'web-1', source: 'agent' } },
      { event: 'e', sequence: 1, fields: { number: 1 } },
      { event: 'e', sequence: 2, fields: { number: 2 } },
    ]);
    expect(verdict(read.lines())).toMatchObject({ isUnbroken: true });
    expect(logged).toMatchObject([
      { name: 'events.audit-chain-began', fields: { chain: records[0]?.['chain'] } },
    ]);
  });

  test('goes on where the spool says it ended', async () => {
    const before = setup();
    before.push(1, 2);
    const first = reading(before.chain);
    await first.stop();

    const after = setup(first.positions);
    after.push(3);
    const second = reading(after.chain, first.positions);
    await second.stop();

    expect(second.lines().map(membersIn)).toMatchObject([{ sequence: 3 }]);
    expect(verdict([...first.lines(), ...second.lines()])).toMatchObject({ isUnbroken: true, records: 4 });
    expect(after.logged).toEqual([]);
  });

  test('whatever was not durable is numbered again: no gap and no fork, killed at any moment', async () => {
    await assert(
      asyncProperty(
        array(array(integer({ min: 1, max: 4 }), { maxLength: 5 }), { maxLength: 6 }),
        async (lives) => {
          const kept: string[] = [];
          let positions: Positions = new Map();
          for (const life of lives) {
            const { chain, push, clock } = setup(positions);
            const stopping = new AbortController();
            const chunks = chain.chunks(positions, stopping.signal)[Symbol.asyncIterator]();
            for (const [index, records] of life.entries()) {
              push(...Array.from({ length: records }, (_, number) => number));
              const { value } = await chunks.next();
              // The last chunk of each life dies between the source and the spool.
              if (index === life.length - 1) break;
              kept.push(...value.bytes.toString().trimEnd().split('\n'));
              positions = new Map(value.positions.map(({ item, value: at }: SourcePosition) => [item, at]));
            }
            stopping.abort();
            await chunks.return?.();
            await clock.advance(1);
          }
          const report = verdict(kept);
          expect(report.isUnbroken).toBe(true);
          expect(report.chains).toHaveLength(kept.length === 0 ? 0 : 1);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('makes chunks that become one batch, however many records wait', async () => {
    const { chain, source, push } = setup();
    for (let number = 0; number < 3_000; number += 1) push(number);
    for (let number = 0; number < 400; number += 1) source.push(JSON.stringify({ text: 'x'.repeat(5_000) }));

    const stopping = new AbortController();
    stopping.abort();
    for await (const { bytes, timeMs } of chain.chunks(new Map(), stopping.signal)) {
      expect(encodeChunk(bytes, timeMs).pieces).toHaveLength(1);
    }
  });

  test('keeps its times in order when the clock is set back, unless that would put them far ahead', async () => {
    const { chain, push, clock } = setup();
    const chunks = chain.chunks(new Map(), never)[Symbol.asyncIterator]();
    const timeOfNext = async (): Promise<number> => {
      push(1);
      const { value } = await chunks.next();
      return value.timeMs - Date.parse('2026-11-22T12:00:00Z');
    };

    const first = await timeOfNext();
    clock.jump(-30 * 60_000);
    const second = await timeOfNext();
    clock.jump(-31 * 60_000);
    const third = await timeOfNext();

    expect([first, second, third]).toEqual([0, 0, -61 * 60_000]);
  });

  test('a head in the spool that is not ours begins a new chain', async () => {
    const { chain, push, logged } = setup(new Map([['head', '{"chain":7}']]));
    push(1);
    const read = reading(chain);
    await read.stop();

    expect(read.lines().map(membersIn)).toMatchObject([{ sequence: 0 }, { sequence: 1 }]);
    expect(logged).toMatchObject([{ name: 'events.audit-chain-began' }]);
  });
});

describe('settled', () => {
  test('resolves once the spool has all that was taken, not before', async () => {
    const { chain, push, clock } = setup();
    const chunks = chain.chunks(new Map(), never)[Symbol.asyncIterator]();
    const noted: string[] = [];
    expect(await chain.settled()).toBe(true);

    push(1);
    const one = chain.settled().then(() => noted.push('one'));
    const first = await chunks.next();
    push(2);
    const two = chain.settled().then(() => noted.push('two'));
    await clock.advance(0);
    expect(noted).toEqual([]);

    chain.durable([{ source: 'other', item: 'head', value: first.value.positions[0].value }]);
    await clock.advance(0);
    expect(noted).toEqual([]);
    chain.durable(positionsOf(new Map([['head', first.value.positions[0].value]])));
    await one;
    expect(noted).toEqual(['one']);

    const second = await chunks.next();
    chain.durable(positionsOf(new Map([['head', second.value.positions[0].value]])));
    await two;
    expect(chain.status()).toMatchObject({ source: 'agent', sequence: 2, lost: 0 });
  });

  test('is false at once while records are being lost', async () => {
    const { chain, source } = setup();
    source.push('x'.repeat(300 * 1024));

    expect(await chain.settled()).toBe(false);
    expect(chain.status().lost).toBe(1);
  });
});

function withHeads() {
  const parts = setup();
  const { chain, clock } = parts;
  const heads = headsSource({ chain, hostId: 'host-1', clock });
  const chunks = chain.chunks(new Map(), never)[Symbol.asyncIterator]();
  /** Records that reach the spool. */
  const keep = async (count: number): Promise<void> => {
    parts.push(...Array.from({ length: count }, (_, number) => number));
    const { value } = await chunks.next();
    chain.durable(positionsOf(new Map([['head', value.positions[0].value]])));
  };
  const read = reading(heads);
  const shipped = () => read.lines().map((line) => membersIn(line)?.['records']);
  return { ...parts, chunks, keep, read, shipped };
}

describe('heads', () => {
  test('come soon after new records, and from time to time without any', async () => {
    const { clock, keep, shipped } = withHeads();
    await clock.advance(60_000);
    expect(shipped()).toEqual([]);

    await keep(3);
    await clock.advance(5_000);
    expect(shipped()).toEqual([4]);
    await keep(2);
    await clock.advance(60_000);
    expect(shipped()).toEqual([4, 6]);
    await clock.advance(15 * 60_000);
    expect(shipped()).toEqual([4, 6, 6]);
  });

  test('name only what is durable', async () => {
    const { clock, chain, keep, shipped, push, chunks } = withHeads();
    await keep(1);
    push(1);
    const { value } = await chunks.next();

    await clock.advance(60_000);

    expect(shipped()).toEqual([2]);
    chain.durable(positionsOf(new Map([['head', value.positions[0].value]])));
    await clock.advance(60_000);
    expect(shipped()).toEqual([2, 3]);
  });

  test('come once more at the stop, when the last records are durable', async () => {
    const { clock, keep, read, shipped, push } = withHeads();
    await keep(1);
    await clock.advance(5_000);
    push(2);

    const stopped = read.stop();
    await keep(0);
    await clock.advance(0);
    await stopped;

    expect(shipped()).toEqual([2, 3]);
  });

  test('do not wait for ever for records that cannot be made durable', async () => {
    const { clock, keep, read, shipped, push } = withHeads();
    await keep(1);
    await clock.advance(5_000);
    push(2);

    const stopped = read.stop();
    await clock.advance(1_000);
    await stopped;

    expect(shipped()).toEqual([2]);
  });
});

test('through the pipeline, a chain reaches the sink whole', async () => {
  const { clock, chain, push, logged } = setup();
  const log = (event: LogEvent): void => void logged.push(event);
  const spool = memorySpool({ bytesMax: 2 ** 23, clock, log });
  const sink = memorySink();
  const stream = { logGroup: 'g', logStream: 's' };
  const line = pipeline({
    sources: [{ name: 'agent', source: chain satisfies ChainedSource, streamOf: () => stream }],
    spool,
    sink,
    clock,
    log,
  });
  const running = line.run(never);
  onTestFinished(async () => {
    await line.drain(0);
    await running;
  });

  for (let turn = 0; turn < 20; turn += 1) {
    push(...Array.from({ length: 40 }, (_, number) => number));
    await clock.advance(100);
  }
  await clock.advance(1_000);

  const messages = sink.batches.flatMap((batch) => eventsOf(batch).map(({ message }) => message));
  expect(verdict(messages)).toMatchObject({ isUnbroken: true, records: 801 });
});
