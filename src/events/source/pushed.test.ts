import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { aborted } from '../../base/aborted.ts';
import { type Chunk, chunkBytesMax } from '../event-source.ts';
import { pushed } from './pushed.ts';

const itemBytes = 128;
const mine = (): void => undefined;

function setup(queueBytesMax?: number, closed: Promise<void> = Promise.resolve()) {
  const clock = fakeClock();
  const source = pushed({
    ...(queueBytesMax === undefined ? {} : { queueBytesMax }),
    clock,
    async listen(signal) {
      await aborted(signal);
      await closed;
    },
  });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const chunks = source.chunks(new Map(), stop.signal)[Symbol.asyncIterator]();
  const next = async (): Promise<Chunk> => (await chunks.next()).value as Chunk;
  const push = (text: string, isOneEvent = false, onDurable?: () => void): boolean =>
    source.push(Buffer.from(text), isOneEvent, onDurable);
  return { clock, source, stop, chunks, next, push };
}

describe('what is pushed', () => {
  test('at one time goes together, in its order, and each of it is told when it is durable', async () => {
    const { push, next } = setup();
    const told: string[] = [];
    for (const each of ['a', 'b', 'c']) push(`${each}\n`, false, () => told.push(each));

    const chunk = await next();
    chunk.onDurable?.();

    expect(chunk).toMatchObject({ bytes: Buffer.from('a\nb\nc\n'), isOneEvent: false, positions: [] });
    expect(told).toEqual(['a', 'b', 'c']);
  });

  test('has the time it came at', async () => {
    const { clock, push, next } = setup();
    push('a\n');
    await clock.advance(1);
    push('b\n');
    push('c\n');

    const chunks = [await next(), await next()];

    expect(chunks.map(({ bytes }) => bytes.toString())).toEqual(['a\n', 'b\nc\n']);
    expect(chunks.map(({ timeMs }) => timeMs - clock.now().getTime())).toEqual([-1, 0]);
  });

  test('as one event goes alone, whatever comes before and after it', async () => {
    const { push, next } = setup();
    push('a\n');
    push('one\nevent', true);
    push('another', true);
    push('b\n');

    const chunks = [await next(), await next(), await next(), await next()];

    expect(chunks.map(({ bytes, isOneEvent }) => [bytes.toString(), isOneEvent])).toEqual([
      ['a\n', false],
      ['one\nevent', true],
      ['another', true],
      ['b\n', false],
    ]);
    expect(chunks.every(({ onDurable }) => onDurable === undefined)).toBe(true);
  });

  test('fills a chunk, and goes into the next where one is full', async () => {
    const { push, next } = setup();
    const half = 'x'.repeat(chunkBytesMax / 2 - 1);
    for (const end of ['\n', '\n', '\n']) push(half + end);

    expect([(await next()).bytes.length, (await next()).bytes.length]).toEqual([
      chunkBytesMax,
      chunkBytesMax / 2,
    ]);
  });

  test('before a stop is still handed on after it, and then that is all', async () => {
    const { push, next, stop, chunks, source } = setup();
    push('a\n');
    await next();
    push('b\n', true);
    push('c\n', true);
    stop.abort();

    expect([(await next()).bytes.toString(), (await next()).bytes.toString()]).toEqual(['b\n', 'c\n']);
    expect(await chunks.next()).toEqual({ done: true, value: undefined });
    expect(source.counts()).toEqual({ lagBytes: 0, items: 0 });
    expect(await source.roomAgain()).toBe(false);
  });
});

test('what still comes while the listener closes is handed on too', async () => {
  const closing = Promise.withResolvers<void>();
  const { push, stop, next, chunks } = setup(undefined, closing.promise);
  const first = next();

  stop.abort();
  await setImmediate();
  push('late\n');
  closing.resolve();

  expect((await first).bytes.toString()).toBe('late\n');
  expect(await chunks.next()).toEqual({ done: true, value: undefined });
});

describe('the queue', () => {
  const text = 'x'.repeat(100 - 1);

  test('holds 4 MiB where nothing else is asked for', () => {
    const { push } = setup();
    const mebibyte = 'x'.repeat(2 ** 20 - itemBytes);

    expect(Array.from({ length: 5 }, () => push(mebibyte))).toEqual([true, true, true, true, false]);
  });

  test('holds as much as it may, what an item costs beside its bytes included, and no more', () => {
    const { push, source } = setup(2 * (99 + itemBytes));

    expect([push(text), push(`${text}x`), push(text), push('')]).toEqual([true, false, true, false]);
    expect(source.counts()).toEqual({ lagBytes: 2 * (99 + itemBytes), items: 2 });
  });

  test('takes what is larger than itself while it is empty, so that it is not refused for ever', () => {
    const { push } = setup(100);

    expect([push(text), push('a')]).toEqual([true, false]);
  });

  test('has room again for who takes back what he pushed, once', () => {
    const { push, source } = setup(99 + itemBytes);
    push(text, false, mine);

    expect([source.withdraw(mine), source.withdraw(mine)]).toEqual([true, false]);
    expect(source.counts()).toEqual({ lagBytes: 0, items: 0 });
    expect(push(text)).toBe(true);
  });

  test('lets those go on who wait for room once half of it is free, and whoever comes then', async () => {
    const { push, next, source } = setup(4 * (99 + itemBytes));
    for (let each = 0; each < 4; each += 1) push(text, true);
    let resumed = 0;
    for (let each = 0; each < 2; each += 1) void source.roomAgain().then(() => (resumed += 1));

    await next();
    await Promise.resolve();
    const atThreeQuarters = resumed;
    await next();
    await Promise.resolve();

    expect([atThreeQuarters, resumed]).toEqual([0, 2]);
    expect(await source.roomAgain()).toBe(true);
  });

  test('says to those who wait for room that nobody reads any more', async () => {
    const { push, next, stop, chunks, source } = setup(99 + itemBytes);
    push(text);
    await next();
    push(text);
    const waiting = source.roomAgain();

    stop.abort();
    void chunks.return?.(undefined);

    expect(await waiting).toBe(false);
  });
});
