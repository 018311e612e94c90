import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { GatehouseError } from '../base/errors.ts';
import { bootstrapBytesMax, readBootstrapFile } from './bootstrap-file.ts';

const uid = process.getuid?.() ?? 0;
const stranger = 12_345;

function setup(content = '{"region": "eu-west-1"}') {
  const folder = temporaryDirectory();
  const file = join(folder, 'config.json');
  writeFileSync(file, content, { mode: 0o644 });
  return { folder, file };
}

function refusal(file: string, user = uid): GatehouseError {
  try {
    readBootstrapFile(file, user);
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('a bootstrap config file', () => {
  it('is read when it is ours and nobody else can write it', () => {
    const { file } = setup();

    expect(readBootstrapFile(file, uid)).toEqual({ region: 'eu-west-1' });
  });

  it('may begin with a byte order mark', () => {
    const { file } = setup('\uFEFF{}');

    expect(readBootstrapFile(file, uid)).toEqual({});
  });

  it('need not exist', () => {
    const { folder, file } = setup();

    expect(readBootstrapFile(join(folder, 'other.json'), uid)).toBeUndefined();
    expect(readBootstrapFile(join(file, 'below-a-file'), uid)).toBeUndefined();
  });

  it.each([0o664, 0o646, 0o777])('that others may write is refused: mode %o', (mode) => {
    const { file } = setup();
    chmodSync(file, mode);

    const { code, details } = refusal(file);

    expect(code).toBe('CONFIG_FILE_UNSAFE');
    expect(details).toMatchObject({ mode: `0${mode.toString(8)}`, run: `chmod go-w ${file}` });
  });

  it.runIf(uid === 0)('of a stranger is refused', () => {
    const { file } = setup();
    chownSync(file, stranger, stranger);
    chmodSync(file, 0o666);

    const { code, details } = refusal(file);

    expect(code).toBe('CONFIG_FILE_UNSAFE');
    expect(details).toMatchObject({
      ownerUid: stranger,
      run: `chown root:root ${file} && chmod go-w ${file}`,
    });
  });

  it.runIf(uid === 0)("of the current user or of root is read by a user who isn't root", () => {
    const { file } = setup();

    expect(readBootstrapFile(file, stranger)).toEqual({ region: 'eu-west-1' });
    chownSync(file, stranger, stranger);
    expect(readBootstrapFile(file, stranger)).toEqual({ region: 'eu-west-1' });
  });

  it('is found through links that we made, as Kubernetes mounts it', () => {
    const { folder } = setup();
    mkdirSync(join(folder, '..2026'));
    writeFileSync(join(folder, '..2026', 'mounted.json'), '{"name": "pod"}', { mode: 0o644 });
    symlinkSync('..2026', join(folder, '..data'));
    symlinkSync('..data/mounted.json', join(folder, 'mounted.json'));

    expect(readBootstrapFile(join(folder, 'mounted.json'), uid)).toEqual({ name: 'pod' });
  });

  it.runIf(uid === 0)('is not found through a link that a stranger made, of the file or of a folder', () => {
    const { folder, file } = setup();
    const link = join(folder, 'link.json');
    const folderLink = join(folder, 'folder');
    symlinkSync(file, link);
    symlinkSync(folder, folderLink);
    lchownSync(link, stranger, stranger);
    lchownSync(folderLink, stranger, stranger);

    expect(refusal(link)).toMatchObject({
      code: 'CONFIG_FILE_UNSAFE',
      details: { link, ownerUid: stranger },
    });
    expect(refusal(join(folderLink, 'config.json'))).toMatchObject({ details: { link: folderLink } });
  });

  it('that is a link to itself, a folder or a pipe is refused', () => {
    const { folder } = setup();
    const loop = join(folder, 'loop');
    const pipe = join(folder, 'pipe');
    symlinkSync(loop, loop);
    execFileSync('mkfifo', [pipe]);

    expect(refusal(loop).code).toBe('CONFIG_FILE_NOT_REGULAR');
    expect(refusal(folder).code).toBe('CONFIG_FILE_NOT_REGULAR');
    expect(refusal(pipe).code).toBe('CONFIG_FILE_NOT_REGULAR');
  });

  it('that is too large is refused', () => {
    const { file } = setup();
    truncateSync(file, bootstrapBytesMax + 1);

    expect(refusal(file).code).toBe('CONFIG_FILE_TOO_LARGE');
  });

  it.runIf(uid === 0 && existsSync('/proc/kallsyms'))('that is larger than it says is refused', () => {
    expect(refusal('/proc/kallsyms').code).toBe('CONFIG_FILE_TOO_LARGE');
  });

  it.runIf(uid === 0)('that may not be read is refused with exit code 77', () => {
    const { file } = setup();
    const script = `
      import { readBootstrapFile } from ${JSON.stringify(join(import.meta.dirname, 'bootstrap-file.ts'))};
      try { readBootstrapFile(${JSON.stringify(file)}, ${stranger}); }
      catch (error) { console.log(error.code, error.row.exitCode); }`;

    const said = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      uid: stranger,
      encoding: 'utf8',
    });

    expect(said.trim()).toBe('CONFIG_FILE_UNREADABLE 77');
  });

  it.each([
    ['', { line: 1, column: 1, fault: 'ends-early' }],
    ['{"region": "canary', { line: 1, column: 19, fault: 'ends-early' }],
    ['{\n "region": canary }', { line: 2, column: 12, fault: 'syntax' }],
    ['{"canary": 1, "canary": 2}', { line: 1, column: 15, fault: 'duplicate-key' }],
  ])('%j is not JSON, and the error holds the place but not the content', (content, fault) => {
    const { file } = setup(content);

    const error = refusal(file);

    expect(error).toMatchObject({
      code: 'CONFIG_NOT_JSON',
      details: { file, ...fault },
      row: { exitCode: 78 },
    });
    expect(JSON.stringify([error.details, error.message, error.cause])).not.toContain('canary');
  });

  it('that is not UTF-8 is refused', () => {
    const { file } = setup();
    writeFileSync(file, Buffer.from([0x7b, 0xff, 0x7d]));

    expect(refusal(file)).toMatchObject({ code: 'CONFIG_NOT_JSON', details: { fault: 'not-utf-8' } });
  });
});
