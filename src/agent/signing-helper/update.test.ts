import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { hourlySource } from '../../../test/support/hourly-source.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { update } from './update.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** A user with a home, and a source that hands out an hour at a time unless it is in trouble. */
function setup(env: Record<string, string> = {}) {
  const home = temporaryDirectory();
  const file = join(home, '.aws', 'credentials');
  const clock = fakeClock();
  const stop = new AbortController();
  const logged: { event: string; error?: { code: string } }[] = [];
  const { source, world } = hourlySource(clock, 'the secret of the fake');
  const launch = {
    env: { HOME: home, ...env },
    clock,
    logForm: 'json' as const,
    writeLog: (line: string) => void logged.push(JSON.parse(line)),
  };
  const run = (isOnce = false, profile = 'default') =>
    update(launch, source, { profile, isOnce, random: () => 0.5 }, stop.signal);
  /** Runs until the test is over. */
  const running = () => {
    const ended = run();
    onTestFinished(async () => {
      stop.abort(new Error('over'));
      await ended;
    });
  };
  const key = () => /aws_access_key_id = (\w+)/u.exec(readFileSync(file, 'utf8'))?.[1];
  const named = (name: string) => logged.filter(({ event }) => event === name);
  return { home, file, clock, world, run, running, key, named, logged };
}

test('one profile is written once, for its user alone, and nothing of it is said', async () => {
  const { file, run, key, logged } = setup();

  await run(true);

  expect(key()).toBe('ASIA1');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);
  expect(logged.map(({ event }) => event)).toEqual(['credentials-file.written']);
  expect(JSON.stringify(logged)).not.toContain('the secret of the fake');
});

test('a file that is no UTF-8 is refused and stays as it is', async () => {
  const { file, run } = setup();
  const latin1 = Buffer.from('# Schlüssel\n[other]\naws_access_key_id = AKIA\n', 'latin1');
  mkdirSync(join(file, '..'));
  writeFileSync(file, latin1);

  await expect(run(true)).rejects.toMatchObject({ code: 'AWS_FILE_NOT_TEXT', details: { path: file } });

  expect(readFileSync(file)).toEqual(latin1);
});

test('several profiles written at the same time are all there', async () => {
  const { file, run } = setup();
  const profiles = ['a', 'b', 'c', 'd', 'e', 'f'];

  await Promise.all(profiles.map((profile) => run(true, profile)));
  await Promise.all(profiles.map((profile) => run(true, profile)));

  const text = readFileSync(file, 'utf8');
  expect(profiles.filter((profile) => !text.includes(`[${profile}]`))).toEqual([]);
});

test.each([
  [0o640, 0o640],
  [0o400, 0o400],
  [0o644, 0o600],
])('a file of mode %o has mode %o afterwards: nobody is let in by a umask', async (before, after) => {
  const { file, run } = setup();
  mkdirSync(join(file, '..'));
  writeFileSync(file, '');
  chmodSync(file, before);

  await run(true);

  expect(statSync(file).mode & 0o777).toBe(after);
});

test('with --once what fails is the error, and the file stays as it was', async () => {
  const { file, run, world } = setup();
  mkdirSync(join(file, '..'));
  writeFileSync(file, '[default]\nmine = 1\n');
  world.trouble = 'CREDENTIALS_REFUSED';

  await expect(run(true)).rejects.toMatchObject({ code: 'CREDENTIALS_REFUSED' });
  expect(readFileSync(file, 'utf8')).toBe('[default]\nmine = 1\n');
});

test('a day long the file holds credentials that have not expired', async () => {
  const { clock, running, key, world, named } = setup();
  running();

  for (let minute = 0; minute < 24 * 60; minute += 5) {
    await clock.advance(5 * minuteMs);
    await written(named, world.loads);
  }

  expect(key()).toBe(`ASIA${world.loads}`);
  expect(world.loads).toBeGreaterThan(24);
  expect(world.loads).toBeLessThan(40);
});

test('no failure ends it: each is said once, tried again less often the less time helps, and overcome', async () => {
  const { clock, running, key, world, named } = setup();
  world.trouble = 'CREDENTIALS_STS_UNREACHABLE';
  running();

  await clock.advance(10 * minuteMs);
  const unreachable = world.loads;
  world.trouble = 'CREDENTIALS_REFUSED';
  await clock.advance(2 * hourMs);
  const refused = world.loads - unreachable;

  expect(unreachable).toBeGreaterThan(10);
  expect(refused).toBeGreaterThan(2);
  expect(refused).toBeLessThan(40);
  expect(named('credentials-file.failed').map(({ error }) => error?.code)).toEqual([
    'CREDENTIALS_STS_UNREACHABLE',
    'CREDENTIALS_REFUSED',
  ]);
  world.trouble = undefined;
  await clock.advance(hourMs);
  await written(named, 1);
  expect(key()).toMatch(/^ASIA/u);
});

test('a link in the place of the file stays, and what it leads to is written', async () => {
  const { home, file, run } = setup();
  mkdirSync(join(file, '..'));
  writeFileSync(join(home, 'elsewhere'), '');
  symlinkSync(join(home, 'elsewhere'), file);

  await run(true);

  expect(lstatSync(file).isSymbolicLink()).toBe(true);
  expect(readFileSync(join(home, 'elsewhere'), 'utf8')).toContain('ASIA1');
});

test('AWS_SHARED_CREDENTIALS_FILE names another file; without it and HOME there is none', async () => {
  const elsewhere = join(temporaryDirectory(), 'named');
  await setup({ AWS_SHARED_CREDENTIALS_FILE: elsewhere }).run(true);
  expect(readFileSync(elsewhere, 'utf8')).toContain('ASIA1');

  await expect(setup({ HOME: '' }).run(true)).rejects.toMatchObject({ code: 'CREDENTIALS_FILE_UNKNOWN' });
});

/** Waits until so many writes are done: they take real time. */
async function written(named: (name: string) => readonly object[], count: number): Promise<void> {
  while (named('credentials-file.written').length < count) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
