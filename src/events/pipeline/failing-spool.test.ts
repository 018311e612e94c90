import { describe, expect, test } from 'vitest';
import { setup } from '../../../test/support/pipeline-rig.ts';
import { eventsError } from '../errors.ts';
import type { Spool } from '../spool.ts';

const hourMs = 60 * 60 * 1000;
/** Tries so far apart that a day of them is no long story, however the dice fall. */
const seldom = { backoffBaseMs: hourMs, backoffCapMs: 10 * hourMs };

describe('a pipeline whose spool does not do all that it is asked to', () => {
  test('a stream that has nothing left to send fails no more', async () => {
    const { clock, sink, give, start } = setup({ limits: seldom });
    sink.onSend = () => Promise.reject(eventsError('EVENTS_UNREACHABLE'));
    const { line } = start({ ageMaxDays: 1 });
    give('old\n');
    await clock.advance(1_000);
    const { failingStreams } = line.status();

    await clock.advance(35 * hourMs);

    expect(failingStreams).toBe(1);
    expect(line.status()).toMatchObject({ failingStreams: 0, outdated: { events: 1 } });
  });

  test('goes on when a spool that could not be written can be again', async () => {
    const { clock, sink, spool, give, start, said } = setup();
    let failures = 3;
    const failing: Spool = {
      ...spool,
      append(batch, positions, signal) {
        failures -= 1;
        if (failures >= 0) return Promise.reject(eventsError('EVENTS_SPOOL_UNWRITABLE'));
        return spool.append(batch, positions, signal);
      },
    };
    start({ spool: failing });

    give('1\n', 1);
    await clock.advance(260);
    give('2\n', 2);
    await clock.advance(60_000);

    expect(sink.messages()).toEqual(['1', '2']);
    expect(spool.position('s0').get('item')).toBe('2');
    expect(said('events.spool-failed')).toHaveLength(1);
    expect(said('events.spool-recovered')).toHaveLength(1);
  });

  test('says once that the spool fails, though small batches of another stream fit', async () => {
    const { clock, spool, scripted, start, said } = setup({ sources: 2 });
    let isFull = true;
    const nearlyFull: Spool = {
      ...spool,
      append: (batch, ...rest) =>
        isFull && batch.bytes > 1000
          ? Promise.reject(eventsError('EVENTS_SPOOL_UNWRITABLE'))
          : spool.append(batch, ...rest),
    };
    const { line } = start({ spool: nearlyFull });
    scripted[0]?.give(`${'x'.repeat(2000)}\n`, undefined, 'large');
    for (let small = 0; small < 20; small += 1) {
      scripted[1]?.give('small\n', undefined, 'small');
      await clock.advance(1000);
    }
    const [failed, recovered, { isFailing }] = [
      said('events.spool-failed').length,
      said('events.spool-recovered').length,
      line.status().spool,
    ];

    isFull = false;
    await clock.advance(60_000);

    expect([failed, recovered, isFailing]).toEqual([1, 0, true]);
    expect(said('events.spool-recovered')).toHaveLength(1);
    expect(line.status().spool.isFailing).toBe(false);
  });

  test('waits where the spool cannot be read just now, and sends when it can', async () => {
    const { clock, spool, sink, give, start, said } = setup();
    let isAway = true;
    const away: Spool = {
      ...spool,
      read: (limits, signal) =>
        isAway ? Promise.reject(eventsError('EVENTS_SPOOL_KEY_UNAVAILABLE')) : spool.read(limits, signal),
    };
    start({ spool: away });
    give('one\n');
    await clock.advance(10_000);
    const sentBefore = sink.batches.length;

    isAway = false;
    await clock.advance(60_000);

    expect([sentBefore, sink.batches.length]).toEqual([0, 1]);
    expect(said('events.spool-failed')).toHaveLength(1);
    expect(said('events.spool-recovered')).toHaveLength(1);
  });
});
