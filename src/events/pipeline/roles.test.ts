import { describe, expect, test } from 'vitest';
import { setup, streamOf } from '../../../test/support/pipeline-rig.ts';
import { eventsError } from '../errors.ts';
import type { PipelineOptions } from '../pipeline.ts';
import type { RefusedEvent, Spool } from '../spool.ts';
import type { PipelineSource } from './source.ts';

/** Two sources, `own`, and `denied` under a role that takes nothing. */
function setupWithDenied(bytesMax?: number) {
  const made = setup({
    sources: 2,
    limits: { sendsMax: 8 },
    ...(bytesMax === undefined ? {} : { bytesMax }),
  });
  const [own, denied] = made.scripted;
  if (own === undefined || denied === undefined) throw new Error('no source');
  made.sink.onSend = ({ stream }) => {
    if (stream.roleOf !== undefined) throw eventsError('EVENTS_DENIED');
    return [];
  };
  const sources: PipelineSource[] = [
    { name: 'own', source: own.source, streamOf },
    {
      name: 'denied',
      source: denied.source,
      streamOf: (file) => ({ ...streamOf(file), roleOf: 'denied' }),
    },
  ];
  const start = (over: Partial<PipelineOptions> = {}) => made.start({ sources, ...over });
  return { ...made, start, own, denied };
}

function withDenied(bytesMax?: number) {
  const made = setupWithDenied(bytesMax);
  return { ...made, ...made.start() };
}

describe('sources of which one is sent under a role of its own', () => {
  test('go on beside it when that role is denied, however many streams it has', async () => {
    const { clock, sink, own, denied } = withDenied();
    for (let file = 0; file < 10; file += 1) denied.give(`denied ${file}\n`, undefined, `f${file}`);
    await clock.advance(1000);

    own.give('own\n');
    await clock.advance(1000);

    expect(sink.messages()).toEqual(['own']);
  });

  test('go on beside it when it has filled its part of the spool, and it goes on when it is let', async () => {
    const { clock, sink, spool, own, denied, line, said } = withDenied(2 ** 20);
    for (let each = 0; each < 12; each += 1) {
      denied.give(`${each} ${'x'.repeat(90_000)}\n`);
      await clock.advance(1000);
    }
    const { bytes, bytesMax } = spool.counts();
    const isFull = line.status().spool.isFull;

    for (let each = 0; each < 20; each += 1) {
      own.give(`${each} ${'y'.repeat(90_000)}\n`);
      await clock.advance(1000);
    }
    const during = sink.messages().length;
    sink.onSend = () => [];
    await clock.advance(120_000);

    expect(bytes).toBeLessThanOrEqual((bytesMax * 7) / 8);
    expect(isFull).toBe(true);
    expect(line.status().spool.isFull).toBe(false);
    expect(during).toBe(20);
    expect(sink.messages()).toHaveLength(32);
    expect(said('events.spool-full')).toHaveLength(1);
    expect(said('events.spool-relieved')).toHaveLength(1);
  });

  test('of several batches of one that fails those alone are kept together that leave room for the other', async () => {
    const { clock, sink, spool, own, denied, start } = setupWithDenied(8_100_000);
    const together: Spool = {
      ...spool,
      async appendFirst(batches, signal) {
        const ids: number[] = [];
        for (const { batch, positions } of batches) ids.push(await spool.append(batch, positions, signal));
        return ids;
      },
    };
    start({ spool: together });
    const gate = Promise.withResolvers<readonly RefusedEvent[]>();
    const { onSend } = sink;
    sink.onSend = (batch, signal) =>
      batch.stream.roleOf === undefined ? gate.promise : onSend(batch, signal);
    own.give(`${'y'.repeat(300_000)}\n`);
    await clock.advance(1000);
    for (let each = 0; each < 20; each += 1) denied.give(`${each} ${'x'.repeat(700_000)}\n`);
    await clock.advance(10_000);
    const { batches, bytesMax } = spool.counts();

    gate.resolve([]);
    await clock.advance(10_000);

    const after = spool.counts();
    expect(after.batches).toBe(batches);
    expect(after.bytes).toBeLessThanOrEqual((bytesMax * 7) / 8);
  });

  test('fail and recover by themselves', async () => {
    const { clock, sink, own, denied, said } = withDenied();
    denied.give('denied\n');
    await clock.advance(1000);
    const { onSend } = sink;
    sink.onSend = () => {
      throw eventsError('EVENTS_DENIED');
    };
    own.give('own\n');
    await clock.advance(1000);
    sink.onSend = onSend;
    await clock.advance(60_000);

    expect(said('events.send-failed').map(({ fields }) => fields['roleOf'])).toEqual(['denied', undefined]);
    expect(said('events.send-recovered').map(({ fields }) => fields['roleOf'])).toEqual([undefined]);
  });
});
