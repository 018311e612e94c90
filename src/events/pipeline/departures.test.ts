import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { type Batch, encodeChunk, openBatch } from '../batch.ts';
import { memorySpool } from '../spool/memory.ts';
import type { SpooledBatch } from '../spool.ts';
import { departures } from './departures.ts';

const { signal } = new AbortController();
const stream = { logGroup: 'g', logStream: 's' };

function batchOf(text: string): Batch {
  const open = openBatch(stream);
  for (const piece of encodeChunk(Buffer.from(text), 0).pieces) open.add(piece);
  return open.seal();
}

async function setup() {
  const spool = memorySpool({ bytesMax: 2 ** 20, clock: fakeClock(), log: () => undefined });
  const first = await spool.append(batchOf('a'), [], signal);
  const second = await spool.append(batchOf('b'), [], signal);
  const leaving = departures();
  const oldest = async (): Promise<SpooledBatch> => {
    const [batch] = await spool.read({ stream, batchesMax: 1, except: leaving.sending }, signal);
    if (batch === undefined) throw new Error('nothing waits');
    return batch;
  };
  return { spool, first, second, leaving, oldest };
}

test('what is being sent is not taken out, and can be once the try is over', async () => {
  const { spool, first, leaving, oldest } = await setup();
  const seen = await oldest();
  const sent = await leaving.begin(oldest);
  const takeOut = (): Promise<boolean> => leaving.takeOut(seen, () => spool.settle(seen, []));

  expect(sent?.id).toBe(first);
  expect(await takeOut()).toBe(false);
  expect(spool.counts().batches).toBe(2);
  leaving.end(seen);
  expect(await takeOut()).toBe(true);
  expect(spool.counts().batches).toBe(1);
});

test('who wants to send what is being taken out waits for that, and has the next', async () => {
  const { spool, second, leaving, oldest } = await setup();
  const victim = await oldest();
  const gate = Promise.withResolvers<void>();
  const out = leaving.takeOut(victim, async () => {
    await gate.promise;
    return spool.settle(victim, []);
  });

  const sent = leaving.begin(oldest);
  gate.resolve();

  expect(await out).toBe(true);
  expect((await sent)?.id).toBe(second);
  expect([...leaving.sending]).toEqual([second]);
});

test('what could not be taken out is sent in its turn, or taken out at another try', async () => {
  const { spool, first, leaving, oldest } = await setup();
  const victim = await oldest();
  const gate = Promise.withResolvers<boolean>();

  const out = leaving.takeOut(victim, () => gate.promise);
  const other = leaving.takeOut(victim, () => spool.settle(victim, []));
  const sent = leaving.begin(oldest);
  gate.reject(new Error('full'));

  await expect(out).rejects.toThrow('full');
  expect(await other).toBe(false);
  expect((await sent)?.id).toBe(first);
  leaving.end(victim);
  expect(await leaving.takeOut(victim, () => spool.settle(victim, []))).toBe(true);
});

test('two who take the same out do it once', async () => {
  const { spool, leaving, oldest } = await setup();
  const victim = await oldest();
  const settle = (): Promise<boolean> => spool.settle(victim, []);

  expect(await Promise.all([leaving.takeOut(victim, settle), leaving.takeOut(victim, settle)])).toEqual([
    true,
    false,
  ]);
});
