import { describe, expect, test } from 'vitest';
import { setup, streamOf } from '../../../test/support/pipeline-rig.ts';
import { eventsError } from '../errors.ts';
import type { Spool } from '../spool.ts';

const never = new AbortController().signal;

describe('a pipeline that is drained', () => {
  test('takes nothing more in, sends what it has, and ends', async () => {
    const { clock, sink, give, start, pulled } = setup();
    const { line, done } = start();
    give('one\n', 4);
    await clock.advance(0);

    const drained = line.drain(5000);
    give('too late\n');
    await clock.advance(1000);
    await Promise.all([drained, done]);

    expect(sink.messages().slice(0, 1)).toEqual(['one']);
    expect(pulled()).toBeLessThanOrEqual(2);
  });

  test('keeps what it has read, though the deadline passes before that has begun', async () => {
    const { clock, spool, sink, give, start } = setup();
    sink.onSend = () => {
      throw eventsError('EVENTS_UNREACHABLE');
    };
    const slow: Spool = {
      ...spool,
      async append(...args) {
        await clock.sleep(500, never);
        return spool.append(...args);
      },
    };
    const { line, done } = start({ spool: slow });
    give('from a pipe\n');
    await clock.advance(0);

    const drained = line.drain(0);
    await clock.advance(1000);
    await Promise.all([drained, done]);

    expect(spool.counts().batches).toBe(1);
  });

  test('leaves in time when nothing can be sent, and the spool keeps it', async () => {
    const { clock, sink, spool, give, start, said } = setup();
    const { line, done } = start();
    sink.onSend = () => {
      throw eventsError('EVENTS_UNREACHABLE');
    };
    give('one\n', 4);
    await clock.advance(1000);

    const drained = line.drain(5000);
    await clock.advance(5000);
    await Promise.all([drained, done]);

    expect(spool.counts().batches).toBe(1);
    expect(spool.position('s0').get('item')).toBe('4');
    expect(said('events.stopped')).toMatchObject([{ fields: { spooledBatches: 1 } }]);
  });

  test('leaves in time when the spool is full, and forgets no position', async () => {
    const { clock, sink, spool, give, start } = setup({ bytesMax: 1_000_000 });
    const { line, done } = start();
    sink.onSend = () => {
      throw eventsError('EVENTS_UNREACHABLE');
    };
    for (let index = 1; index <= 5; index += 1) give(`${index} ${'x'.repeat(600_000)}\n`, index);
    await clock.advance(10_000);

    const drained = line.drain(1000);
    await clock.advance(2000);
    await Promise.all([drained, done]);

    const batches = await spool.read(
      { stream: streamOf(undefined), batchesMax: 9 },
      new AbortController().signal,
    );
    expect(spool.position('s0').get('item')).toBe(String(batches.length));
  });
});
