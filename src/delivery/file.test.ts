import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { Secret } from '../base/secret.ts';
import { openDirectory } from '../system/files.ts';
import { deliveryContract } from './delivery.contract.ts';
import { fileDelivery } from './file.ts';

const never = new AbortController().signal;
const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const isRoot = self.uid === 0;
const nobody = 65_534;

if (!isRoot) process.stderr.write('skipped: tests that give files to other users need root\n');

function setup({ tmpfs = true, under = 'secrets', ids = {}, mode = '0400', allowDisk = false } = {}) {
  const root = temporaryDirectory({ tmpfs });
  const file = join(root, under, 'password');
  const parts = {
    allowedUnder: [root],
    self,
    openDirectory,
    ownerIds: async () => ids,
    delivered: new Map<string, string>(),
  };
  const delivery = fileDelivery({ file, mode, allowDisk }, parts);
  const deliver = (text = 'correct horse') =>
    delivery.deliver({ name: 'password', value: Secret.ofText(text), version: 'v1' }, never);
  return { root, file, folder: dirname(file), parts, delivery, deliver, seen: () => seenAt(file) };
}

function seenAt(file: string): Buffer | undefined {
  return existsSync(file) ? readFileSync(file) : undefined;
}

const bitsOf = (path: string) => (statSync(path).mode & 0o7777).toString(8);

deliveryContract('fileDelivery', () => setup());

describe('a delivered file', () => {
  it('has its mode, and so has the folder made for it, whatever the umask', async () => {
    const { file, folder, deliver } = setup({ mode: '0440' });

    await deliver();

    expect(bitsOf(file)).toBe('440');
    expect(bitsOf(folder)).toBe('711');
    expect(readdirSync(folder)).toEqual(['password']);
  });

  it.runIf(isRoot)('belongs to its owner and group', async () => {
    const { file, deliver } = setup({ ids: { uid: nobody, gid: nobody } });

    await deliver();

    expect(statSync(file)).toMatchObject({ uid: nobody, gid: nobody });
    expect(bitsOf(file)).toBe('400');
  });

  it('is written again when somebody changed its mode', async () => {
    const { file, deliver } = setup();
    await deliver();
    chmodSync(file, 0o644);

    expect(await deliver()).toEqual({ written: true });
    expect(bitsOf(file)).toBe('400');
  });

  it.runIf(isRoot)('is written again when somebody changed its owner', async () => {
    const { file, deliver } = setup();
    await deliver();
    chownSync(file, nobody, nobody);

    expect(await deliver()).toEqual({ written: true });
    expect(statSync(file).uid).toBe(0);
  });

  it('is written anew when it has a second name', async () => {
    const { root, file, deliver } = setup();
    await deliver();
    linkSync(file, join(root, 'second'));

    expect(await deliver()).toEqual({ written: true });
    expect(statSync(file).nlink).toBe(1);
  });

  it('is not touched when it is right', async () => {
    const { file, deliver } = setup();
    await deliver();
    const { ino, mtimeNs } = statSync(file, { bigint: true });

    await deliver();

    expect(statSync(file, { bigint: true })).toMatchObject({ ino, mtimeNs });
  });

  it('takes the place of a link without following it', async () => {
    const { root, file, folder, deliver } = setup();
    const target = join(root, 'target');
    writeFileSync(target, 'untouched');
    mkdirSync(folder);
    symlinkSync(target, file);

    await deliver();

    expect(lstatSync(file).isFile()).toBe(true);
    expect(readFileSync(target, 'utf8')).toBe('untouched');
  });

  it('never takes the place of a directory, and leaves nothing behind', async () => {
    const { file, folder, deliver } = setup();
    mkdirSync(file, { recursive: true });

    await expect(deliver()).rejects.toMatchObject({ code: 'FILE_FAILED' });
    expect(readdirSync(folder)).toEqual(['password']);
  });

  it('is rid of the temporaries of a crash, its own only', async () => {
    const { file, folder, deliver } = setup();
    await deliver();
    const fileOf = (name: string) => join(folder, name);
    // The digest is the one that replace() uses for this name: an interrupted one is imitated.
    writeFileSync(fileOf('.gatehouse-5e884898da280471-0011223344556677.tmp'), 'half');
    writeFileSync(fileOf('.gatehouse-0000000000000000-0011223344556677.tmp'), 'of another file');
    writeFileSync(fileOf('.bystander'), '');

    await deliver();

    expect(readdirSync(folder).toSorted()).toEqual([
      '.bystander',
      '.gatehouse-0000000000000000-0011223344556677.tmp',
      'password',
    ]);
    expect(existsSync(file)).toBe(true);
  });
});

describe('where a file is not delivered', () => {
  it('on a disk, unless that is allowed', async () => {
    const refusing = setup({ tmpfs: false });
    const allowing = setup({ tmpfs: false, allowDisk: true });

    await expect(refusing.deliver()).rejects.toMatchObject({ code: 'DELIVERY_NOT_IN_MEMORY' });
    expect(refusing.seen()).toBeUndefined();
    expect(await allowing.deliver()).toEqual({ written: true });
  });

  it('outside the allowed directories, also by way of a link inside', async () => {
    const { root, delivery, folder } = setup();
    const outside = temporaryDirectory({ tmpfs: true });
    symlinkSync(outside, folder);

    await expect(
      delivery.deliver({ name: 'password', value: Secret.ofText('x'), version: 'v1' }, never),
    ).rejects.toMatchObject({ code: 'FILE_NOT_ALLOWED', details: { resolved: outside } });
    expect(readdirSync(outside)).toEqual([]);
    expect(readdirSync(root)).toEqual(['secrets']);
  });

  it.runIf(isRoot)('through a link that somebody else made', async () => {
    const { root, folder, deliver } = setup();
    mkdirSync(join(root, 'real'));
    symlinkSync(join(root, 'real'), folder);
    await import('node:fs').then(({ lchownSync }) => lchownSync(folder, nobody, nobody));

    await expect(deliver()).rejects.toMatchObject({ code: 'FILE_LINK_UNTRUSTED', details: { path: folder } });
    expect(readdirSync(join(root, 'real'))).toEqual([]);
  });

  it.each([0o777, 0o770, 0o775])('in a folder that others write to: mode %o', async (mode) => {
    const { folder, deliver } = setup();
    mkdirSync(folder);
    chmodSync(folder, mode);

    await expect(deliver()).rejects.toMatchObject({ code: 'DELIVERY_FOLDER_UNSAFE' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it.runIf(isRoot)('in a folder of a third user, but in one of the owner of the file', async () => {
    const third = setup();
    mkdirSync(third.folder);
    chownSync(third.folder, nobody, nobody);
    const own = setup({ ids: { uid: nobody } });
    mkdirSync(own.folder);
    chownSync(own.folder, nobody, nobody);

    await expect(third.deliver()).rejects.toMatchObject({ code: 'DELIVERY_FOLDER_UNSAFE' });
    expect(await own.deliver()).toEqual({ written: true });
  });
});

describe('a delivered file that is taken back', () => {
  it('is gone, and its folder and its neighbours are not', async () => {
    const { folder, delivery, deliver } = setup();
    await deliver();
    writeFileSync(join(folder, 'neighbour'), 'x');

    expect(await delivery.withdraw(never)).toEqual({ removed: true });
    expect(readdirSync(folder)).toEqual(['neighbour']);
  });

  it('is gone too when it was found in place at this start', async () => {
    const { file, parts, deliver, seen } = setup();
    await deliver();
    const config = { file, mode: '0400', allowDisk: false };
    const restarted = fileDelivery(config, { ...parts, delivered: new Map() });

    expect(await restarted.withdraw(never)).toEqual({ removed: false });
    expect(seen()?.toString()).toBe('correct horse');
    const value = Secret.ofText('correct horse');
    expect(await restarted.deliver({ name: 'password', value, version: 'v1' }, never)).toEqual({
      written: false,
    });
    expect(await restarted.withdraw(never)).toEqual({ removed: true });
    expect(seen()).toBeUndefined();
  });

  it('is gone when another delivery to the same file had put it there', async () => {
    const { file, parts, deliver, seen } = setup();
    await deliver();
    const next = fileDelivery({ file, mode: '0440', allowDisk: false }, parts);

    expect(await next.withdraw(never)).toEqual({ removed: true });
    expect(seen()).toBeUndefined();
  });

  it.each([
    ['written to it', (file: string) => appendFileSync(file, 'more')],
    [
      'replaced it, even by the same content',
      (file: string) => {
        writeFileSync(`${file}.new`, readFileSync(file));
        renameSync(`${file}.new`, file);
      },
    ],
    [
      'replaced it by a link',
      (file: string) => {
        unlinkSync(file);
        symlinkSync('/etc/hostname', file);
      },
    ],
  ])('stays when somebody else has %s', async (_what, change) => {
    const { file, folder, delivery, deliver } = setup({ mode: '0640' });
    await deliver();
    change(file);

    await expect(delivery.withdraw(never)).rejects.toMatchObject({
      code: 'DELIVERY_CHANGED_BY_OTHERS',
      details: { file },
    });
    expect(readdirSync(folder)).toEqual(['password']);
    expect(await delivery.withdraw(never)).toEqual({ removed: false });
  });

  it('is gone although somebody changed its mode: the content is the delivered one', async () => {
    const { file, delivery, deliver, seen } = setup();
    await deliver();
    chmodSync(file, 0o644);

    expect(await delivery.withdraw(never)).toEqual({ removed: true });
    expect(seen()).toBeUndefined();
  });

  it('may be gone already, even with its folder, which is not made again', async () => {
    const { folder, delivery, deliver } = setup();
    await deliver();
    rmSync(folder, { recursive: true });

    expect(await delivery.withdraw(never)).toEqual({ removed: false });
    expect(existsSync(folder)).toBe(false);
  });
});
