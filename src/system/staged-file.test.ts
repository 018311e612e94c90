import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { openDirectory } from './files.ts';

const options = { prefix: '.stage-', mode: 0o640 };

async function setup() {
  const path = temporaryDirectory();
  const folder = await openDirectory(path);
  onTestFinished(() => folder.close());
  const read = (name = 'file') => readFileSync(join(path, name), 'utf8');
  return { path, folder, read, names: () => readdirSync(path) };
}

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.from('half');
  throw new Error('the other half');
}

describe('a staged file', () => {
  it('is whole, with its mode, before it has its name', async () => {
    const { path, folder, read, names } = await setup();
    const staged = await folder.stage('file', pieces('one ', 'two'), options);
    expect(names()).toEqual([expect.stringMatching(/^\.stage-[0-9a-f]{16}\.tmp$/u)]);
    expect((await buffer(staged.chunks())).toString()).toBe('one two');

    expect(staged.commit()).toBe(true);
    staged.sync();
    staged.discard();

    expect(read()).toBe('one two');
    expect((statSync(join(path, 'file')).mode & 0o777).toString(8)).toBe('640');
    expect(names()).toEqual(['file']);
  });

  it('is written whole, whatever pieces it comes in', async () => {
    const { path, folder } = await setup();
    const large = randomBytes(700_000);
    async function* cut(): AsyncGenerator<Buffer> {
      for (let from = 0; from < large.length; from += 65_000) yield large.subarray(from, from + 65_000);
    }

    const staged = await folder.stage('file', cut(), options);

    staged.commit();
    expect(readFileSync(join(path, 'file')).equals(large)).toBe(true);
    const empty = await folder.stage('empty', pieces(), options);
    empty.commit();
    expect(statSync(join(path, 'empty')).size).toBe(0);
  });

  it('is read to its end, also where that moved on since it was opened', async () => {
    const { path, folder } = await setup();
    writeFileSync(join(path, 'file'), 'some');
    const file = await folder.openFile('file');
    onTestFinished(() => file.close());
    writeFileSync(join(path, 'file'), ' and more', { flag: 'a' });

    expect((await buffer(file.chunks())).toString()).toBe('some and more');
  });

  it('replaces the file it is meant for, and no other', async () => {
    const { path, folder, read, names } = await setup();
    writeFileSync(join(path, 'file'), 'old');
    const old = await folder.openFile('file');
    await old.close();
    const [first, second] = [
      await folder.stage('file', Buffer.from('new'), options),
      await folder.stage('file', Buffer.from('newer'), options),
    ];

    expect(first.commit({ of: old.identity })).toBe(true);
    expect(second.commit({ of: old.identity })).toBe(false);
    second.discard();

    expect(read()).toBe('new');
    expect(names()).toEqual(['file']);
  });

  it('takes a name that is free only where it is to be so', async () => {
    const { path, folder, read, names } = await setup();
    const first = await folder.stage('file', Buffer.from('first'), options);
    const second = await folder.stage('file', Buffer.from('second'), options);

    expect(first.commit('nothing')).toBe(true);
    expect(() => second.commit('nothing')).toThrow(expect.objectContaining({ code: 'FILE_EXISTS' }));
    second.discard();

    expect(read()).toBe('first');
    expect(names()).toEqual(['file']);
    expect(statSync(join(path, 'file')).nlink).toBe(1);
  });

  it('leaves nothing where what it is made of fails, and nothing a sweep does not find', async () => {
    const { path, folder, names } = await setup();
    await expect(folder.stage('file', broken(), options)).rejects.toThrow('the other half');
    expect(names()).toEqual([]);
    await folder.stage('file', Buffer.from('left behind'), options);
    writeFileSync(join(path, '.stage-mine'), 'not a temporary');
    await folder.sweep(options.prefix);

    expect(names()).toEqual(['.stage-mine']);
  });
});

describe('a file that is opened', () => {
  it('is read in pieces, again at each call, with its owner, mode and length', async () => {
    const { path, folder } = await setup();
    const bytes = Buffer.alloc(700_000, 'piece ');
    writeFileSync(join(path, 'file'), bytes, { mode: 0o600 });
    const file = await folder.openFile('file');
    onTestFinished(() => file.close());

    expect((await buffer(file.chunks())).equals(bytes)).toBe(true);
    expect((await buffer(file.chunks())).equals(bytes)).toBe(true);
    expect(file).toMatchObject({ bytes: 700_000, mode: 0o600, uid: process.getuid?.() });
  });

  it('is no link and no folder', async () => {
    const { path, folder } = await setup();
    symlinkSync('/etc/passwd', join(path, 'link'));

    await expect(folder.openFile('link')).rejects.toHaveProperty('code', 'FILE_FAILED');
    await expect(folder.openFile('absent')).rejects.toHaveProperty('code', 'FILE_NOT_FOUND');
    await expect((await openDirectory('/')).openFile('tmp')).rejects.toHaveProperty(
      'code',
      'FILE_NOT_REGULAR',
    );
  });
});
