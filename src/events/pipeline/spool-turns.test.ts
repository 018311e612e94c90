import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventsError } from '../errors.ts';
import { memorySpool } from '../spool/memory.ts';
import { never } from '../spool.contract.ts';
import { pipelineLimits } from './limits.ts';
import { spoolTurns } from './spool-turns.ts';

function setup() {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const disk = { fileBytes: 1_000, isFull: true, tries: 0 };
  const counts = memorySpool({ bytesMax: 1, clock, log }).counts();
  const turns = spoolTurns({
    spool: { counts: () => ({ ...counts, fileBytes: disk.fileBytes }) },
    limits: pipelineLimits,
    onMoved: () => undefined,
    onTurnEnd: () => undefined,
    clock,
    log,
  });
  const write = async (): Promise<string> => {
    disk.tries += 1;
    if (disk.isFull) throw eventsError('EVENTS_SPOOL_UNWRITABLE', { path: '' });
    return 'written';
  };
  const begun = (signal = never) => {
    const ends: unknown[] = [];
    turns.untilDone('append', write, signal).then(
      (end) => ends.push(end),
      (error: unknown) => ends.push(error),
    );
    return ends;
  };
  return { clock, disk, turns, begun, said: () => events.map(({ name }) => name) };
}

test('what the spool cannot do is done within half a second of room in its files, however long it has failed', async () => {
  const { clock, disk, begun, turns, said } = setup();
  const ends = begun();
  await clock.advance(10 * 60_000);
  expect(ends).toEqual([]);
  expect(turns.isFailing).toBe(true);

  disk.fileBytes = 500;
  disk.isFull = false;
  await clock.advance(500);

  expect(ends).toEqual(['written']);
  expect(turns.isFailing).toBe(false);
  expect(said()).toEqual(['events.spool-failed', 'events.spool-recovered']);
});

test('and where it is still in the making, within five seconds', async () => {
  const { clock, disk, begun } = setup();
  const ends = begun();
  await clock.advance(10 * 60_000);

  disk.fileBytes = 500;
  await clock.advance(500);
  disk.isFull = false;
  await clock.advance(5_000);

  expect(ends).toEqual(['written']);
});

test('a disk that others fill is asked every five seconds at least, and no more once it works', async () => {
  const { clock, disk, begun } = setup();
  begun();
  await clock.advance(10 * 60_000);
  const { tries } = disk;

  await clock.advance(60_000);

  expect(disk.tries - tries).toBeGreaterThanOrEqual(12 - 1);
  disk.isFull = false;
  await clock.advance(5_000);
  const triesInAll = disk.tries;
  await clock.advance(60_000);
  expect(disk.tries).toBe(triesInAll);
});

test('whoever is stopped waits no longer', async () => {
  const { clock, begun } = setup();
  const stop = new AbortController();
  const ends = begun(stop.signal);
  await clock.advance(60_000);

  stop.abort(new Error('stop'));
  await clock.advance(0);

  expect(ends).toEqual([stop.signal.reason]);
});
