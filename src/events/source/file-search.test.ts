import { readdirSync, readlinkSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import type { Positions } from '../event-source.ts';
import { fileSourceLimits } from './file-limits.ts';
import { fileSearch } from './file-search.ts';
import { filesInHand } from './files-in-hand.ts';
import { knownFiles } from './known-files.ts';
import { readBuffer, type TrackedFile } from './tracked-file.ts';

/** A regular file of which each read answers with EIO. */
const unreadable = `/proc/${process.pid}/mem`;

function setup() {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  const write = (name: string, text: string): void => {
    writeFileSync(path(name), text);
    // After that which does not read: files are looked at in the order of their changes.
    utimesSync(path(name), Date.now() / 1000, Date.now() / 1000 + 3600);
  };
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const clock = fakeClock();

  /** A search with what it has in hand; `failure` is what the next file answers with in which reading would go on. */
  function start(from: Positions = new Map(), files = [path('*.log')]) {
    const known = knownFiles(from, fileSourceLimits, clock);
    const hand = filesInHand({
      name: 'app',
      encoding: 'auto',
      limits: fileSourceLimits,
      known,
      clock,
      log,
    });
    onTestFinished(() => hand.closeAll());
    const faults: Error[] = [];
    const search = fileSearch({
      name: 'app',
      files,
      exclude: [],
      readFrom: [directory, '/proc'],
      unseenSinceMs: undefined,
      limits: fileSourceLimits,
      hand: {
        ...hand,
        goOn(...opened) {
          const fault = faults.pop();
          if (fault !== undefined) throw fault;
          return hand.goOn(...opened);
        },
      },
      log,
    });
    const reading = (): unknown[] =>
      [...hand.tracked.values()].map(({ currentPath, offset }) => [currentPath, offset]);
    return { known, search, faults, reading, tracked: () => [...hand.tracked.values()] };
  }

  return {
    path,
    write,
    start,
    refused: () => events.filter(({ name }) => name === 'events.file-refused').map(({ fields }) => fields),
    said: () => events.map(({ name }) => name),
  };
}

const eio = (): Error => Object.assign(new Error('no disk'), { code: 'EIO' });

function readAll(files: readonly TrackedFile[]): Positions {
  return new Map(
    files.map((file) => {
      file.take(readBuffer(), 0, false);
      const { item, value = '' } = file.position();
      return [item, value];
    }),
  );
}

function handlesOf(path: string): number {
  return readdirSync('/proc/self/fd').filter((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === path;
    } catch {
      return false;
    }
  }).length;
}

describe('a file that answers with an error', () => {
  test('keeps no other from being found, is refused once, and is not held', () => {
    const { path, write, start, refused, said } = setup();
    write('app.log', 'line\n');
    const { search, reading } = start(new Map(), [unreadable, path('*.log')]);

    for (let look = 0; look < 3; look += 1) search.find();

    expect(reading()).toEqual([[path('app.log'), 0]]);
    expect(refused()).toEqual([{ source: 'app', path: unreadable, reason: 'EIO' }]);
    expect(said()).not.toContain('events.find-failed');
    expect(handlesOf(unreadable)).toBe(0);
  });

  test('is gone on with once it reads again, where it was', () => {
    const { path, write, start, refused } = setup();
    write('app.log', 'line\n');
    const first = start();
    first.search.find();
    const { search, faults, reading } = start(readAll(first.tracked()));

    // Known files are looked at before others, and with them.
    faults.push(eio(), eio());
    search.find();
    const early = reading();
    search.find();

    expect(early).toEqual([]);
    expect(refused()).toEqual([{ source: 'app', path: path('app.log'), reason: 'EIO' }]);
    expect(reading()).toEqual([[path('app.log'), 5]]);
  });

  test('is gone on with as well where it was renamed meanwhile', () => {
    const { path, write, start, said } = setup();
    write('app.log', 'line\n');
    const first = start();
    first.search.find();
    const positions = readAll(first.tracked());
    renameSync(path('app.log'), path('app.log.1'));
    const { search, faults, reading } = start(positions);

    faults.push(eio());
    search.find();
    const early = reading();
    search.find();

    expect(early).toEqual([]);
    expect(reading()).toEqual([[path('app.log.1'), 5]]);
    expect(said()).not.toContain('events.file-vanished');
  });
});

test('what is known of a file is not given up while what may have its rest does not read', () => {
  const { path, write, start, said, refused } = setup();
  write('app.log', 'line\n');
  utimesSync(path('app.log'), 1, 1);
  const first = start();
  first.search.find();
  // As if it had been beside what does not read, whose name is like that of a copy of it.
  const [[item, value] = ['', '']] = readAll(first.tracked());
  const moved = value.replace(path('app.log'), `${unreadable}.log`);
  const { search, known } = start(new Map([[item, moved]]), [path('*.none')]);

  for (let look = 0; look < 3; look += 1) search.find();

  expect(refused()).toEqual([{ source: 'app', path: unreadable, reason: 'EIO' }]);
  expect(said()).not.toContain('events.file-vanished');
  expect(known.newlyAbsent(new Map()).map((absent) => absent.item)).toEqual([item]);
});

test('what is no answer of the system ends the search', () => {
  const { write, start } = setup();
  write('app.log', 'line\n');
  const { search, faults } = start();

  faults.push(new TypeError('a defect'));

  expect(() => search.find()).toThrow('a defect');
});
