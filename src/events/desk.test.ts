import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type Batch, eventsOf } from './batch.ts';
import { type DeskOptions, desk } from './desk.ts';
import { eventsError } from './errors.ts';
import type { Pipeline } from './pipeline.ts';
import { memorySpool } from './spool/memory.ts';
import { a, b, batchOf, never } from './spool.contract.ts';
import type { RefusedEvent } from './spool.ts';

async function setup(messages: readonly string[] = [], mayHaveMetrics = false) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const spool = memorySpool({ bytesMax: 2 ** 20, clock, log });
  const put: Batch[] = [];
  const answer: { refused: readonly RefusedEvent[] } = { refused: [] };
  const pipeline: DeskOptions['pipeline'] & { put: Pipeline['put'] } = {
    put: async (batch) => void put.push(batch),
    async putAndWait(batch) {
      put.push(batch);
      await clock.advance(1_234);
      return answer.refused;
    },
  };
  const ask = desk({
    spool,
    pipeline,
    streams: new Map([
      ['app', a],
      ['agent', b],
    ]),
    clock,
    log,
  });
  if (messages.length > 0) {
    await spool.append({ ...batchOf(a, messages.join('\n')), mayHaveMetrics }, [], never);
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
  return { ask, spool, pipeline, put, sent, events, clock, answer };
}

describe('the desk', () => {
  test('shows what is in the dead letter by the page, and each letter whole', async () => {
    const { ask, spool } = await setup(['one', 'two']);
    const letters = spool.deadLetters(9);
    const { deadLetterBytes: bytes } = spool.counts();

    expect(await ask({ what: 'letters', after: 0 })).toEqual({ letters, total: 2, bytes });
    expect(await ask({ what: 'letters', after: 1 })).toEqual({ letters: letters.slice(1), total: 2, bytes });
    expect(await ask({ what: 'letter', id: 2 })).toEqual({ ...letters[1], timestamp: 7, message: 'two' });
  });

  test('says that a letter is not there when it is to be shown or sent again', async () => {
    const { ask, sent } = await setup(['one', 'two']);
    await ask({ what: 'drop', ids: [1] });

    for (const id of [1, 3]) {
      const missing = { code: 'EVENTS_LETTER_MISSING', details: { id } };
      await expect(ask({ what: 'letter', id })).rejects.toMatchObject(missing);
      await expect(ask({ what: 'retry', ids: [id], isNow: false })).rejects.toMatchObject(missing);
    }
    expect(sent()).toEqual([]);
  });

  test('keeps a letter whose event does not get into the spool, and says which were done', async () => {
    const { ask, spool, pipeline } = await setup(['one', 'two']);
    expect(await ask({ what: 'retry', ids: [1], isNow: false })).toEqual({ ids: [1] });

    pipeline.put = () => Promise.reject(eventsError('EVENTS_SPOOL_UNREADABLE'));
    await expect(ask({ what: 'retry', ids: 'all', isNow: false })).rejects.toMatchObject({
      code: 'EVENTS_SPOOL_UNREADABLE',
    });

    expect(spool.deadLetters(9).map(({ id }) => id)).toEqual([2]);
    expect(await ask({ what: 'drop', ids: 'all' })).toEqual({ ids: [2] });
  });

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

  test.each([true, false])(
    'sends a letter again as what may have metrics where it was that: %s',
    async (may) => {
      const { ask, put } = await setup(['one'], may);

      await ask({ what: 'retry', ids: 'all', isNow: true });

      expect(put.map(({ mayHaveMetrics }) => mayHaveMetrics)).toEqual([may]);
    },
  );

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
    expect(events[0]?.fields).toEqual({ ...a, id: 1 });
    expect(JSON.stringify(events)).not.toContain('canary-5f2');
  });

  test('sends a test event where a source goes, the first where none is named', async () => {
    const { ask, sent, clock } = await setup();
    await clock.advance(5_000);

    const answers = [
      await ask({ what: 'test', source: undefined }),
      await ask({ what: 'test', source: 'agent' }),
    ];

    expect(sent().map(({ stream }) => stream)).toEqual([a, b]);
    expect(answers).toEqual(
      sent().map(({ stream, message }) => ({
        logGroup: stream.logGroup,
        logStream: stream.logStream,
        message,
        tookMs: 1_234,
      })),
    );
    expect(new Set(sent().map(({ message }) => message)).size).toBe(2);
    await expect(ask({ what: 'test', source: 'absent' })).rejects.toMatchObject({
      code: 'EVENTS_SOURCE_UNKNOWN',
      details: { source: 'absent', sources: ['app', 'agent'] },
    });
  });

  test('says that a test event was refused, and why', async () => {
    const { ask, answer } = await setup();
    answer.refused = [{ reason: 'too-new', timestamp: 1, message: 'x' }];

    await expect(ask({ what: 'test', source: undefined })).rejects.toMatchObject({
      code: 'EVENTS_TEST_REFUSED',
      details: { ...a, reason: 'too-new' },
    });
  });
});
