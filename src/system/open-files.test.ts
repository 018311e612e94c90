import { closeSync, openSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { type OpenFiles, openFilesWatch, ownOpenFiles } from './open-files.ts';

function setup(files: Partial<OpenFiles> = {}) {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const world = { open: 10 };
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const watch = openFilesWatch(
    { count: () => world.open, max: () => 100, ...files },
    { clock, log: (event) => logged.push(event) },
  );
  const ended = watch.run(stop.signal).catch((error: unknown) => error);
  return { clock, world, stop, ended, said: () => logged.map(({ name, fields }) => [name, fields['open']]) };
}

test('running short is said once, and having enough again once', async () => {
  const { clock, world, said } = setup();

  for (const open of [89, 90, 95, 85, 92, 79, 10, 91]) {
    world.open = open;
    await clock.advance(30_000);
  }

  expect(said()).toEqual([
    ['files.short', 90],
    ['files.enough', 79],
    ['files.short', 91],
  ]);
});

test('having none left to look with is being out of them', async () => {
  const { clock, said } = setup({
    count() {
      throw Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: -24 });
    },
  });

  await clock.advance(30_000);

  expect(said()).toEqual([['files.short', 100]]);
});

test('without a bound nothing is said', async () => {
  const { clock, said } = setup({ max: () => undefined });

  await clock.advance(60_000);

  expect(said()).toEqual([]);
});

test('ends with the reason of the signal', async () => {
  const { stop, ended } = setup();
  const reason = new Error('enough');

  stop.abort(reason);

  expect(await ended).toBe(reason);
});

test('this process has files open, and a bound', () => {
  const before = ownOpenFiles.count();
  const opened = Array.from({ length: 50 }, () => openSync('/dev/null', 'r'));
  onTestFinished(() => opened.forEach((fd) => closeSync(fd)));

  // Whoever runs the tests may close some of his own meanwhile.
  expect(ownOpenFiles.count()).toBeGreaterThan(before + opened.length / 2);
  expect(ownOpenFiles.max()).toBeGreaterThan(before);
});
