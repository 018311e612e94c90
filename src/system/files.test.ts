import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import {
  ensurePrivateDirectory,
  isInMemory,
  openDirectory,
  readRegularFile,
  writeFileAtomically,
} from './files.ts';

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;
const bitsOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);

if (!isRoot) process.stderr.write('skipped: tests that give files to other users need root\n');

describe('readRegularFile', () => {
  it('reads a file up to its bound and none beyond', async () => {
    const path = join(temporaryDirectory(), 'file');
    writeFileSync(path, '12345');

    expect((await readRegularFile(path, { bytesMax: 5 })).toString()).toBe('12345');
    await expect(readRegularFile(path, { bytesMax: 4 })).rejects.toMatchObject({
      code: 'FILE_TOO_LARGE',
      details: { path, bytes: 5, bytesMax: 4 },
    });
  });

  it('follows links that root or this user made, one after another', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'a', 'link');
    mkdirSync(join(directory, 'b'));
    symlinkSync('b', join(directory, 'a'));
    symlinkSync('../target', path);
    writeFileSync(join(directory, 'target'), 'here');

    expect((await readRegularFile(path, { bytesMax: 10 })).toString()).toBe('here');
  });

  it.runIf(isRoot).each(['folder/file', 'file'])(
    'never follows a link that somebody else made: %s',
    async (name) => {
      const directory = temporaryDirectory();
      mkdirSync(join(directory, 'real'));
      writeFileSync(join(directory, 'real', 'file'), 'here');
      symlinkSync('real', join(directory, 'folder'));
      symlinkSync('real/file', join(directory, 'file'));
      lchownSync(join(directory, 'folder'), nobody, nobody);
      lchownSync(join(directory, 'file'), nobody, nobody);

      await expect(readRegularFile(join(directory, name), { bytesMax: 10 })).rejects.toMatchObject({
        code: 'FILE_LINK_UNTRUSTED',
      });
    },
  );

  it('ends in a circle of links', async () => {
    const directory = temporaryDirectory();
    symlinkSync('b', join(directory, 'a'));
    symlinkSync('a', join(directory, 'b'));

    await expect(readRegularFile(join(directory, 'a'), { bytesMax: 1 })).rejects.toMatchObject({
      code: 'FILE_LINK_UNTRUSTED',
    });
    await expect(readRegularFile(join(directory, 'a', 'file'), { bytesMax: 1 })).rejects.toMatchObject({
      code: 'FILE_LINK_UNTRUSTED',
    });
  });

  it.each(['directory', 'pipe'])('refuses a %s without waiting', async (kind) => {
    const path = join(temporaryDirectory(), kind);
    if (kind === 'directory') mkdirSync(path);
    else execFileSync('mkfifo', [path]);

    await expect(readRegularFile(path, { bytesMax: 1 })).rejects.toMatchObject({ code: 'FILE_NOT_REGULAR' });
  });

  it.each(['absent', 'absent/file'])('says that %s is not there', async (name) => {
    await expect(readRegularFile(join(temporaryDirectory(), name), { bytesMax: 1 })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      row: { exitCode: 66 },
    });
  });
});

describe('writeFileAtomically', () => {
  it('gives the file its mode whatever the umask, and leaves nothing else', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'file');

    await writeFileAtomically(path, Buffer.from('one'), { mode: 0o666 });
    await writeFileAtomically(path, Buffer.from('two'), { mode: 0o640 });

    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(bitsOf(path)).toBe('640');
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it('leaves a taken name alone where it may not overwrite', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'file');
    await writeFileAtomically(path, Buffer.from('one'), { mode: 0o600, overwrite: false });

    await expect(
      writeFileAtomically(path, Buffer.from('two'), { mode: 0o600, overwrite: false }),
    ).rejects.toMatchObject({
      code: 'FILE_EXISTS',
      // Not every command that writes a file replaces one.
      row: {
        remedy:
          'Choose another name, or move the file away; where the command has --force, that replaces it.',
      },
    });
    expect(readFileSync(path, 'utf8')).toBe('one');
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it.runIf(isRoot)('changes the owner alone where no group is given', async () => {
    const path = join(temporaryDirectory(), 'file');

    await writeFileAtomically(path, Buffer.from('x'), { mode: 0o400, uid: nobody });

    expect(statSync(path)).toMatchObject({ uid: nobody, gid: process.getgid?.() });
  });

  it('takes a name of 255 bytes', async () => {
    const path = join(temporaryDirectory(), 'x'.repeat(255));

    await writeFileAtomically(path, Buffer.from('x'), { mode: 0o600 });

    expect(readFileSync(path, 'utf8')).toBe('x');
  });

  it('says that the folder is not there', async () => {
    const path = join(temporaryDirectory(), 'absent', 'file');

    await expect(writeFileAtomically(path, Buffer.of(), { mode: 0o600 })).rejects.toMatchObject({
      code: 'FILE_DIRECTORY_MISSING',
      row: { exitCode: 73 },
    });
  });
});

describe('openDirectory', () => {
  it('makes what is missing inside, and nothing outside', async () => {
    const root = temporaryDirectory();

    const made = await openDirectory(join(root, 'in', 'a', 'b'), { within: [join(root, 'in')], mode: 0o711 });
    await made.close();

    expect(bitsOf(join(root, 'in', 'a'))).toBe('711');
    await expect(openDirectory(join(root, 'out', 'a'), { within: [join(root, 'in')] })).rejects.toMatchObject(
      {
        code: 'FILE_NOT_FOUND',
      },
    );
    await expect(openDirectory(root, { within: [join(root, 'in')] })).rejects.toMatchObject({
      code: 'FILE_NOT_ALLOWED',
    });
    expect(readdirSync(root)).toEqual(['in']);
  });

  it('a prefix is no neighbour: /run/gatehouse does not allow /run/gatehouse-other', async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'in-other'));

    await expect(openDirectory(join(root, 'in-other'), { within: [join(root, 'in')] })).rejects.toMatchObject(
      {
        code: 'FILE_NOT_ALLOWED',
      },
    );
  });

  it('takes an allowed prefix that is a link itself', async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'real'));
    symlinkSync('real', join(root, 'in'));

    const opened = await openDirectory(join(root, 'in', 'a'), { within: [join(root, 'in')] });
    await opened.close();

    expect(opened.path).toBe(join(root, 'real', 'a'));
  });

  it('holds on to the directory when its path is exchanged', async () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, 'good'));
    mkdirSync(join(root, 'evil'));
    const opened = await openDirectory(join(root, 'good'));
    renameSync(join(root, 'good'), join(root, 'moved'));
    symlinkSync('evil', join(root, 'good'));

    await opened.replace('file', Buffer.from('x'), { mode: 0o600 });
    await opened.close();

    expect(readdirSync(join(root, 'evil'))).toEqual([]);
    expect(readdirSync(join(root, 'moved'))).toEqual(['file']);
  });

  it.each(['', '.', '..', 'a/b', '../a'])('the name "%s" leads out of no directory', async (name) => {
    const opened = await openDirectory(temporaryDirectory());

    await expect(opened.replace(name, Buffer.of(), { mode: 0o600 })).rejects.toThrow(TypeError);
    await opened.close();
  });
});

describe('ensurePrivateDirectory', () => {
  it('makes a directory for its user alone, and takes one that is', async () => {
    const path = join(temporaryDirectory(), 'private');

    await ensurePrivateDirectory(path);
    await ensurePrivateDirectory(path);

    expect(bitsOf(path)).toBe('700');
  });

  it('refuses one that is open to others', async () => {
    const path = join(temporaryDirectory(), 'open');
    mkdirSync(path);
    chmodSync(path, 0o750);

    await expect(ensurePrivateDirectory(path)).rejects.toMatchObject({ code: 'FILE_DIRECTORY_UNSAFE' });
  });

  it.runIf(isRoot)('refuses one of somebody else', async () => {
    const path = join(temporaryDirectory(), 'foreign');
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, nobody, nobody);

    await expect(ensurePrivateDirectory(path)).rejects.toMatchObject({ code: 'FILE_DIRECTORY_UNSAFE' });
  });
});

it('tells memory from disk', async () => {
  expect(await isInMemory('/dev/shm')).toBe(true);
  expect(await isInMemory(temporaryDirectory())).toBe(false);
});
