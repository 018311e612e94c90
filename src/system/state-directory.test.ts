import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { lockStateDirectory } from './state-directory.ts';

const isRoot = process.getuid?.() === 0;
const bitsOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const moduleUrl = new URL('./state-directory.ts', import.meta.url).href;

function setup() {
  const path = join(temporaryDirectory(), 'lib', 'gatehouse');
  return {
    path,
    lock: async () => {
      const state = await lockStateDirectory(path);
      onTestFinished(() => state.release());
      return state;
    },
  };
}

test('it is made private, with a host id that stays', async () => {
  const { path } = setup();
  const first = await lockStateDirectory(path);
  first.release();

  const second = await lockStateDirectory(path);
  second.release();

  expect(first.hostId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/u);
  expect(second.hostId).toBe(first.hostId);
  expect(readFileSync(join(path, 'host-id'), 'utf8')).toBe(`${first.hostId}\n`);
  expect([path, join(path, 'lock'), join(path, 'host-id')].map(bitsOf)).toEqual(['700', '600', '600']);
});

test('a new one has the newest version; one without is of the first, until it is said to be upgraded', async () => {
  const { path, lock } = setup();
  const first = await lockStateDirectory(path);
  first.release();
  const version = join(path, 'version');
  expect([first.version, readFileSync(version, 'utf8'), bitsOf(version)]).toEqual([2, '2\n', '600']);
  rmSync(version);

  const old = await lockStateDirectory(path);
  const before = existsSync(version);
  await old.upgrade();
  old.release();

  expect([old.version, before]).toEqual([1, false]);
  expect((await lock()).version).toBe(2);
});

test.each([
  ['3', 'STATE_DIRECTORY_NEWER', 78],
  ['99', 'STATE_DIRECTORY_NEWER', 78],
  ['0', 'STATE_VERSION_DAMAGED', 65],
  ['x', 'STATE_VERSION_DAMAGED', 65],
  ['2 3', 'STATE_VERSION_DAMAGED', 65],
  ['', 'STATE_VERSION_DAMAGED', 65],
])('one of version %j is refused with %s, and nothing is changed', async (text, code, exitCode) => {
  const { path, lock } = setup();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  writeFileSync(join(path, 'version'), text);

  await expect(lock()).rejects.toMatchObject({ code, row: { exitCode } });

  expect(existsSync(join(path, 'host-id'))).toBe(false);
  expect(readFileSync(join(path, 'version'), 'utf8')).toBe(text);
});

test.each(['version', 'host-id'])('one whose file %s cannot be read is refused', async (name) => {
  const { path, lock } = setup();
  mkdirSync(join(path, name), { recursive: true, mode: 0o700 });

  await expect(lock()).rejects.toMatchObject({ code: 'STATE_DIRECTORY_UNUSABLE' });
});

test('a second agent is refused, in this process and in another', async () => {
  const { path, lock } = setup();
  await lock();
  const source = `
    const { lockStateDirectory } = await import(${JSON.stringify(moduleUrl)});
    await lockStateDirectory(process.argv[1]).then(() => console.log('locked'), (e) => console.log(e.code));
  `;

  const other = execFileSync(process.execPath, ['--input-type=module', '-e', source, path], {
    encoding: 'utf8',
  });

  expect(other).toBe('STATE_DIRECTORY_LOCKED\n');
  await expect(lockStateDirectory(path)).rejects.toMatchObject({
    code: 'STATE_DIRECTORY_LOCKED',
    details: { path },
    row: { exitCode: 75, retry: true },
  });
});

test('an agent that was killed holds no lock', async () => {
  const { path, lock } = setup();
  const source = `
    const { lockStateDirectory } = await import(${JSON.stringify(moduleUrl)});
    await lockStateDirectory(process.argv[1]);
    console.log('locked');
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  await expect(lockStateDirectory(path)).rejects.toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });

  child.kill('SIGKILL');
  await ended;

  await expect(lock()).resolves.toMatchObject({ path });
});

test.each([0o720, 0o702, 0o777])('one that others may change is refused: %o', async (mode) => {
  const { path } = setup();
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);

  await expect(lockStateDirectory(path)).rejects.toMatchObject({
    code: 'STATE_DIRECTORY_UNSAFE',
    details: { path, mode: mode.toString(8) },
    row: { exitCode: 78 },
  });
  expect(existsSync(join(path, 'lock'))).toBe(false);
});

test.runIf(isRoot)('one of somebody else is refused', async () => {
  const { path } = setup();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chownSync(path, 65_534, 65_534);

  await expect(lockStateDirectory(path)).rejects.toMatchObject({
    code: 'STATE_DIRECTORY_UNSAFE',
    details: { ownerUid: 65_534, expectedUid: 0 },
  });
});

test('a file and a link in its place are no directory', async () => {
  const folder = temporaryDirectory();
  const file = join(folder, 'file');
  const link = join(folder, 'link');
  writeFileSync(file, '');
  mkdirSync(join(folder, 'real'), { mode: 0o700 });
  symlinkSync('real', link);

  for (const path of [file, link, join(file, 'below')]) {
    await expect(lockStateDirectory(path)).rejects.toMatchObject({
      code: 'STATE_DIRECTORY_UNUSABLE',
      details: { path },
      row: { exitCode: 73 },
    });
  }
});

test('a damaged host id is refused, kept, and leaves nothing locked', async () => {
  const { path, lock } = setup();
  const good = await lockStateDirectory(path);
  good.release();
  writeFileSync(join(path, 'host-id'), 'not an id');

  await expect(lockStateDirectory(path)).rejects.toMatchObject({
    code: 'STATE_HOST_ID_DAMAGED',
    row: { exitCode: 65 },
  });

  expect(readFileSync(join(path, 'host-id'), 'utf8')).toBe('not an id');
  writeFileSync(join(path, 'host-id'), good.hostId);
  expect((await lock()).hostId).toBe(good.hostId);
});

test('a lock file that is not one is refused by name', async () => {
  const { path } = setup();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  writeFileSync(join(path, 'lock'), 'x'.repeat(5000));

  await expect(lockStateDirectory(path)).rejects.toMatchObject({ code: 'STATE_DIRECTORY_UNUSABLE' });
});
