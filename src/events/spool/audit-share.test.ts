import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { a, b, batchOf, never, spoolContract, textOf } from '../spool.contract.ts';
import type { SourcePosition } from '../spool.ts';
import { withAuditShare } from './audit-share.ts';
import { memorySpool } from './memory.ts';

spoolContract('withAuditShare, all of it audit', async (making) =>
  withAuditShare(memorySpool(making), {
    isAudit: () => true,
    onDurable: () => undefined,
    log: making.log,
  }),
);

const bytesMax = 16_000;
const auditPositions: SourcePosition[] = [{ source: 'agent', item: 'head', value: '1' }];
const line = 'x'.repeat(1_500);

function setup() {
  const events: LogEvent[] = [];
  const durable: (string | undefined)[] = [];
  const clock = fakeClock();
  const log = (event: LogEvent): void => void events.push(event);
  const inner = memorySpool({ bytesMax, clock, log });
  const spool = withAuditShare(inner, {
    isAudit: (positions) => positions.some(({ source }) => source === 'agent'),
    onDurable: (positions) => durable.push(...positions.map(({ value }) => value)),
    log,
  });
  /** Fills what others may have. */
  const fill = async (): Promise<void> => {
    while (spool.counts().bytes + batchOf(a, line).body.length <= (bytesMax * 7) / 8) {
      await spool.append(batchOf(a, line), [], never);
    }
  };
  const settleOne = async (): Promise<void> => {
    const [oldest] = await spool.read({ stream: a, batchesMax: 1 }, never);
    if (oldest !== undefined) await spool.settle(oldest, []);
  };
  return { spool, events, durable, clock, fill, settleOne };
}

test('audit is taken while others wait, and others go on in their order when there is room', async () => {
  const { spool, clock, fill, settleOne } = setup();
  await fill();
  const done: string[] = [];

  const others = ['first', 'second'].map(async (name) => {
    await spool.append(batchOf(b, name + line), [], never);
    done.push(name);
  });
  await clock.advance(0);
  expect(done).toEqual([]);
  await spool.append(batchOf(a, 'audit'), auditPositions, never);
  done.push('audit');
  for (let settled = 0; settled < 4; settled += 1) await settleOne();
  await Promise.all(others);

  expect(done).toEqual(['audit', 'first', 'second']);
  const kept = await spool.read({ stream: b, batchesMax: 9 }, never);
  expect(kept.map((batch) => textOf(batch).slice(0, 6))).toEqual(['firstx', 'second']);
});

test('being full and having room again are said once each', async () => {
  const { spool, events, clock, fill, settleOne } = setup();
  await fill();

  const waiting = [spool.append(batchOf(b, line), [], never), spool.append(batchOf(b, line), [], never)];
  await clock.advance(0);
  expect(spool.counts().isFull).toBe(true);
  while (spool.counts().bytes > bytesMax / 4) {
    await settleOne();
    await clock.advance(0);
  }
  await Promise.all(waiting);

  expect(events.map(({ name }) => name)).toEqual(['events.spool-full', 'events.spool-relieved']);
});

test('one that waits can be aborted, and those behind it go on', async () => {
  const { spool, clock, fill, settleOne } = setup();
  await fill();
  const given = new AbortController();

  const aborted = spool.append(batchOf(b, 'one'.padEnd(1_500)), [], given.signal);
  const behind = spool.append(batchOf(b, 'two'.padEnd(1_500)), [], never);
  await clock.advance(0);
  given.abort(new Error('stop'));
  await expect(aborted).rejects.toThrow('stop');
  for (let settled = 0; settled < 3; settled += 1) await settleOne();

  await expect(behind).resolves.toBeGreaterThan(0);
});

test('one that waits for its turn can be aborted at once, and nothing overtakes those before it', async () => {
  const { spool, clock, fill, settleOne } = setup();
  await fill();
  const given = new AbortController();

  const before = spool.append(batchOf(b, 'one'.padEnd(1_500)), [], never);
  const aborted = spool.append(batchOf(b, 'two'.padEnd(1_500)), [], given.signal);
  const behind = spool.append(batchOf(b, 'three'.padEnd(1_500)), [], never);
  await clock.advance(0);
  given.abort(new Error('stop'));
  await expect(aborted).rejects.toThrow('stop');
  for (let settled = 0; settled < 4; settled += 1) await settleOne();
  await Promise.all([before, behind]);

  const kept = await spool.read({ stream: b, batchesMax: 9 }, never);
  expect(kept.map((batch) => textOf(batch).trim())).toEqual(['one', 'three']);
});

test('positions are told of once they are durable, audit or not', async () => {
  const { spool, durable } = setup();

  await spool.append(batchOf(a, 'one'), [{ source: 'app', item: 'file', value: '7' }], never);
  await spool.append(batchOf(a, 'two'), auditPositions, never);

  expect(durable).toEqual(['7', '1']);
});

test('a stream does not wait until what another has appended is durable', async () => {
  const { clock } = setup();
  const inner = memorySpool({ bytesMax, clock, log: () => undefined });
  const asked: string[] = [];
  const gate = Promise.withResolvers<void>();
  const spool = withAuditShare(
    {
      ...inner,
      async append(batch, positions, signal) {
        asked.push(batch.stream.logStream);
        await gate.promise;
        return inner.append(batch, positions, signal);
      },
    },
    { isAudit: () => false, onDurable: () => undefined, log: () => undefined },
  );

  const appended = [a, b].map((stream) => spool.append(batchOf(stream, line), [], never));
  await clock.advance(0);

  expect(asked).toEqual(['one', 'two']);
  gate.resolve();
  expect(await Promise.all(appended)).toEqual([1, 2]);
});

/** Over a spool that takes several at once. */
function setupTogether() {
  const { clock } = setup();
  const inner = memorySpool({ bytesMax, clock, log: () => undefined });
  const durable: (string | undefined)[] = [];
  const spool = withAuditShare(
    {
      ...inner,
      appendFirst: (batches, signal) =>
        Promise.all(batches.map(({ batch, positions }) => inner.append(batch, positions, signal))),
    },
    {
      isAudit: (positions) => positions.some(({ source }) => source === 'agent'),
      onDurable: (positions) => durable.push(...positions.map(({ value }) => value)),
      log: () => undefined,
    },
  );
  return { spool, durable };
}

test('of several batches the first is taken however large, alone, and of none none', async () => {
  const { spool, durable } = setupTogether();
  const batches = [bytesMax, 1].map((length) => ({
    batch: batchOf(b, 'x'.repeat(length)),
    positions: [{ source: 'app', item: 'i', value: String(length) }],
  }));

  expect(await spool.appendFirst?.(batches, never)).toEqual([1]);

  expect(durable).toEqual([String(bytesMax)]);
  expect(await spool.appendFirst?.([], never)).toEqual([]);
});

test('of several batches only those are taken together that leave the share of audit', async () => {
  const { spool, durable } = setupTogether();
  const size = batchOf(b, line).body.length;
  const fits = Math.floor((bytesMax * 7) / 8 / size);
  const batches = (source: string) =>
    Array.from({ length: fits + 1 }, (_, index) => ({
      batch: batchOf(b, line),
      positions: [{ source, item: 'i', value: `${source} ${index}` }],
    }));

  const ids = (await spool.appendFirst?.(batches('app'), never)) ?? [];

  expect(ids).toHaveLength(fits);
  expect(durable.at(-1)).toBe(`app ${fits - 1}`);
  expect(await spool.appendFirst?.(batches('agent').slice(0, 1), never)).toHaveLength(1);
});

test('what is larger than all the room of others is taken when the spool is empty, and only then', async () => {
  const { spool, durable, clock, settleOne } = setup();
  const huge = batchOf(b, 'x'.repeat(bytesMax));
  await spool.append(batchOf(a, 'small'), [], never);

  const waiting = spool.append(huge, [{ source: 'app', item: 'file', value: 'huge' }], never);
  await clock.advance(0);
  const before = [...durable];
  await settleOne();
  await waiting;

  expect([before, durable]).toEqual([[], ['huge']]);
});

test('the spool is full as long as somebody waits, and no longer', async () => {
  const { spool, clock, fill, settleOne } = setup();
  await fill();
  const given = new AbortController();
  const waiting = [never, given.signal].map((signal) => spool.append(batchOf(b, line), [], signal));
  await clock.advance(0);
  const isFull = [spool.counts().isFull];

  given.abort(new Error('stop'));
  await Promise.allSettled(waiting.slice(1));
  isFull.push(spool.counts().isFull);
  for (let settled = 0; settled < 4; settled += 1) await settleOne();
  await Promise.all(waiting.slice(0, 1));
  isFull.push(spool.counts().isFull);

  expect(isFull).toEqual([true, true, false]);
});

test('what is given up before it is asked for leaves nothing, and no append leaves anything at its signal', async () => {
  const { spool, fill, clock, settleOne } = setup();
  const given = new AbortController();
  given.abort(new Error('stop'));
  await expect(spool.append(batchOf(b, 'none'), [], given.signal)).rejects.toThrow('stop');
  await fill();
  const { signal } = new AbortController();
  const waiting = ['one', 'two'].map((text) => spool.append(batchOf(b, text + line), [], signal));
  await clock.advance(0);

  for (let settled = 0; settled < 4; settled += 1) await settleOne();
  await Promise.all(waiting);

  expect(getEventListeners(signal, 'abort')).toEqual([]);
  const kept = await spool.read({ stream: b, batchesMax: 9 }, never);
  expect(kept.map((batch) => textOf(batch).slice(0, 3))).toEqual(['one', 'two']);
});
