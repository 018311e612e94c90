import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { setup } from '../../test/support/pipeline-rig.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { eventsError } from './errors.ts';
import { batchEventsMax } from './limits.ts';
import type { PipelineSource } from './pipeline/source.ts';
import { fileSource } from './source/file.ts';
import { fileSourceLimits } from './source/file-limits.ts';
import type { Spool } from './spool.ts';

describe('a pipeline', () => {
  test('brings every line to the sink, in order, and settles it', async () => {
    const { clock, sink, spool, give, start } = setup();
    const { line } = start();

    give('one\ntwo\n', 8);
    await clock.advance(1000);
    give('three\n', 14);
    await clock.advance(1000);

    expect(sink.messages()).toEqual(['one', 'two', 'three']);
    expect(spool.counts().batches).toBe(0);
    expect(spool.position('s0').get('item')).toBe('14');
    expect(line.status()).toMatchObject({
      sources: [{ name: 's0', bytes: 14, events: 3, waitingEvents: 0 }],
      sent: { events: 3, batches: 2, refused: 0, failures: 0 },
    });
  });

  test('says of the batches of a source with metrics, and of no other, that they may have some', async () => {
    const { clock, sink, scripted, start } = setup({ sources: 2 });
    const sources = scripted.map(({ source }, index): PipelineSource => {
      const own = { logGroup: 'g', logStream: `s${index}` };
      return { name: `s${index}`, source, streamOf: () => own, embeddedMetrics: index === 0 };
    });
    const flags = new Map<string, boolean>();
    sink.onSend = ({ stream, mayHaveMetrics = false }) => {
      flags.set(stream.logStream, mayHaveMetrics);
      return [];
    };
    start({ sources });

    for (const { give } of scripted) give('one\n');
    await clock.advance(1000);

    expect(Object.fromEntries(flags)).toEqual({ s0: true, s1: false });
  });

  test('waits no longer than it may for more lines', async () => {
    const { clock, sink, give, start } = setup({ limits: { flushAfterMs: 250 } });
    start();

    give('one\n');
    await clock.advance(249);
    expect(sink.messages()).toEqual([]);

    give('two\n');
    await clock.advance(1);
    expect(sink.messages()).toEqual(['one', 'two']);
  });

  test('does not wait when a batch is full', async () => {
    const { clock, sink, give, start } = setup();
    start();
    for (let index = 0; index < 3; index += 1) give(`${'x'.repeat(500_000)}\n`);

    await clock.advance(0);

    expect(sink.messages()).toHaveLength(2);
  });

  test('lines that were written behind a batch that turns out to be full are the next one’s', async () => {
    const { clock, sink, give, start } = setup();
    start();
    const full = Array.from({ length: batchEventsMax - 1 }, (_, number) => `${number} ${'x'.repeat(60)}`);

    give(`${full.join('\n')}\n`);
    give('one\ntwo\n');
    await clock.advance(1000);

    expect(sink.batches.map(({ events }) => events)).toEqual([batchEventsMax - 1, 2]);
    expect(sink.messages().slice(-3)).toEqual([full.at(-1), 'one', 'two']);
  });

  test('tries again until a batch is taken; says failure once and recovery once', async () => {
    const { clock, sink, give, start, said } = setup();
    const { line } = start();
    let left = 5;
    sink.onSend = () => {
      left -= 1;
      if (left >= 0) throw eventsError('EVENTS_UNREACHABLE');
      return [];
    };

    give('one\n');
    await clock.advance(120_000);

    expect(sink.batches).toHaveLength(6);
    expect(new Set(sink.batches.map(({ body }) => body.toString())).size).toBe(1);
    expect(sink.messages()).toEqual(['one']);
    expect(said('events.send-failed')).toHaveLength(1);
    expect(said('events.send-recovered')).toMatchObject([{ fields: { failures: 5 } }]);
    expect(line.status()).toMatchObject({ sent: { failures: 5 }, failingStreams: 0 });
  });

  test('keeps the order of a stream while others go on', async () => {
    const { clock, sink, give, start } = setup();
    start();
    let isDown = true;
    sink.onSend = ({ stream }) => {
      if (stream.logStream === 'bad' && isDown) throw eventsError('EVENTS_DENIED');
      return [];
    };

    give('1\n', undefined, 'bad');
    await clock.advance(1000);
    give('2\n', undefined, 'bad');
    give('a\n', undefined, 'good');
    await clock.advance(1000);
    expect(sink.messages()).toEqual(['a']);

    isDown = false;
    await clock.advance(60_000);
    expect(sink.messages('bad')).toEqual(['1', '2']);
  });

  test('sends to no more streams at a time than it may, and to each in its turn', async () => {
    const { clock, sink, give, start } = setup({ limits: { sendsMax: 2 } });
    start();
    let under = 0;
    let most = 0;
    sink.onSend = async (_batch, signal) => {
      under += 1;
      most = Math.max(most, under);
      await clock.sleep(100, signal);
      under -= 1;
      return [];
    };

    for (let index = 0; index < 10; index += 1) give(`${index}\n`, undefined, `file ${index}`);
    await clock.advance(10_000);

    expect(most).toBe(2);
    expect(sink.messages().toSorted()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('puts refused events into the dead letter and says so', async () => {
    const { clock, sink, spool, give, start, said } = setup();
    const { line } = start();
    sink.onSend = () => [{ reason: 'too-old', timestamp: 1, message: 'two' }];

    give('one\ntwo\n');
    await clock.advance(1000);

    expect(spool.deadLetters(10)).toMatchObject([{ reason: 'too-old' }]);
    expect(await spool.deadLetter(1)).toMatchObject({ message: 'two' });
    expect(said('events.refused')).toMatchObject([{ fields: { events: 1, reasons: ['too-old'] } }]);
    expect(line.status()).toMatchObject({ sent: { events: 1, refused: 1 }, deadLetter: { events: 1 } });
  });

  test('is wedged where a write never ends, and not while CloudWatch Logs is away', async () => {
    const { clock, spool, sink, give, start, said } = setup();
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE'));
    const waits = Promise.withResolvers<void>();
    let isStuck = false;
    const stuck: Spool = {
      ...spool,
      append: async (...append) => {
        if (isStuck) await waits.promise;
        return spool.append(...append);
      },
    };
    const { line } = start({ spool: stuck });
    give('one\n');
    await clock.advance(60 * 60_000);
    const inOutage = line.status().wedgedMs;
    sink.onSend = () => [];
    await clock.advance(60_000);

    isStuck = true;
    give('two\n');
    await clock.advance(10 * 60_000);
    const whileStuck = line.status().wedgedMs;
    waits.resolve();
    await clock.advance(1000);

    expect(inOutage).toBeUndefined();
    expect(whileStuck).toBeGreaterThanOrEqual(5 * 60_000);
    expect(line.status().wedgedMs).toBeUndefined();
    expect(said('events.wedged')).toHaveLength(1);
    expect(sink.messages()).toEqual(['one', 'two']);
  });

  test('what trying again cannot mend ends it with that error', async () => {
    const { clock, spool, give, start } = setup();
    const defect: Spool = { ...spool, read: () => Promise.reject(eventsError('EVENTS_SPOOL_KEY_MISSING')) };
    const { done } = start({ spool: defect });

    give('one\n');
    await clock.advance(1000);

    await expect(done).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_MISSING' });
  });

  test('so it does where nobody waits for the batch any more', async () => {
    const { clock, spool, give, start } = setup();
    const broken: Spool = {
      ...spool,
      append: () => Promise.reject(eventsError('EVENTS_SPOOL_KEY_MISSING', {})),
    };
    const { done } = start({ spool: broken });

    // The first batch is full with the second chunk, and the source says no more.
    give(`${'x'.repeat(700_000)}\n`);
    give(`${'y'.repeat(700_000)}\n`);
    await clock.advance(10);

    await expect(done).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_MISSING' });
  });

  test('sends what the spool still holds from before', async () => {
    const { clock, sink, spool, start } = setup();
    const before = setup();
    before.sink.onSend = () => new Promise(() => {});
    before.start({ spool });
    before.give('left over\n');
    await before.clock.advance(1000);
    before.stop.abort();

    start();
    await clock.advance(1000);

    expect(sink.messages()).toEqual(['left over']);
  });
});

test('a file is shipped across two lives of the pipeline, each line once', async () => {
  const directory = temporaryDirectory();
  const path = join(directory, 'app.log');
  const { clock, sink, start, log } = setup();
  const sourceOf = (): PipelineSource => ({
    name: 'app',
    source: fileSource({ name: 'app', files: [path], readFrom: [directory], clock, log }),
    streamOf: () => ({ logGroup: 'g', logStream: 's' }),
  });
  appendFileSync(path, 'one\ntwo\n');
  const first = start({ sources: [sourceOf()] });
  await clock.advance(1000);
  const drained = first.line.drain(1000);
  await clock.advance(1000);
  await Promise.all([drained, first.done]);
  appendFileSync(path, 'three\n');

  start({ sources: [sourceOf()] });
  await clock.advance(2 * fileSourceLimits.findEveryMs);

  expect(sink.messages()).toEqual(['one', 'two', 'three']);
});
