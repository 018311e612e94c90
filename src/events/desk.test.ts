import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type Batch, eventsOf } from './batch.ts';
import { desk } from './desk.ts';
import { memorySpool } from './spool/memory.ts';
import { a, b, batchOf, never } from './spool.contract.ts';
import type { RefusedEvent } from './spool.ts';

async function setup(messages: readonly string[] = []) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const spool = memorySpool({ bytesMax: 2 ** 20, clock, log });
  const put: Batch[] = [];
  const answer: { refused: readonly RefusedEvent[] } = { refused: [] };
  const ask = desk({
    spool,
    pipeline: {
      put: async (batch) => void put.push(batch),
      async putAndWait(batch) {
        put.push(batch);
        return answer.refused;
      },
    },
    streams: new Map([
      ['app', a],
      ['agent', b],
    ]),
    clock,
    log,
  });
  if (messages.length > 0) {
    await spool.append(batchOf(a, messages.join('\n')), [], never);
    const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
    if (batch === undefined) throw new Error('nothing read');
    await spool.settle(
      batch,
      messages.map((message) => ({ reason: 'too-old' as const, timestamp: 7, message })),
    );
  }
  const sent = () =>
    put.flatMap((batch) =>
      eventsOf(batch).map(({ timestamp, message }) => ({ timestamp, message, stream: batch.stream })),
    );
  return { ask, spool, sent, events, clock, answer };
}

describe('the desk', () => {
  test('sends letters again to their stream, with their own time or that of now, and then drops them', async () => {
    const { ask, sent, spool, clock } = await setup(['one', 'two']);

    await ask({ what: 'retry', ids: [1], isNow: false });
    await ask({ what: 'retry', ids: 'all', isNow: true });

    expect(sent()).toEqual([
      { stream: a, timestamp: 7, message: 'one' },
      { stream: a, timestamp: clock.now().getTime(), message: 'two' },
    ]);
    expect(spool.counts().deadLetters).toBe(0);
  });

  test('says which letter is not there, after doing what was asked before it', async () => {
    const { ask, spool } = await setup(['one', 'two']);

    await expect(ask({ what: 'drop', ids: [2, 9, 1] })).rejects.toMatchObject({
      code: 'EVENTS_LETTER_MISSING',
      details: { id: 9 },
    });

    expect(spool.deadLetters(9).map(({ id }) => id)).toEqual([1]);
  });

  test('audits what is shown, sent again and dropped, without the message', async () => {
    const { ask, events } = await setup(['canary-5f2', 'canary-5f2', 'canary-5f2']);

    await ask({ what: 'letters', after: 0 });
    await ask({ what: 'letter', id: 1 });
    await ask({ what: 'retry', ids: [1], isNow: false });
    await ask({ what: 'drop', ids: 'all' });

    expect(events.map(({ name, audit }) => [name, audit])).toEqual([
      ['events.dead-letter-shown', 'success'],
      ['events.dead-letter-retried', 'success'],
      ['events.dead-letter-dropped', 'success'],
    ]);
    expect(JSON.stringify(events)).not.toContain('canary-5f2');
  });

  test('sends a test event where a source goes, the first where none is named', async () => {
    const { ask, sent } = await setup();

    await ask({ what: 'test', source: undefined });
    await ask({ what: 'test', source: 'agent' });

    expect(sent().map(({ stream }) => stream)).toEqual([a, b]);
    expect(new Set(sent().map(({ message }) => message)).size).toBe(2);
    await expect(ask({ what: 'test', source: 'absent' })).rejects.toMatchObject({
      code: 'EVENTS_SOURCE_UNKNOWN',
    });
  });

  test('says that a test event was refused, and why', async () => {
    const { ask, answer } = await setup();
    answer.refused = [{ reason: 'too-new', timestamp: 1, message: 'x' }];

    await expect(ask({ what: 'test', source: undefined })).rejects.toMatchObject({
      code: 'EVENTS_TEST_REFUSED',
      details: { reason: 'too-new' },
    });
  });
});
