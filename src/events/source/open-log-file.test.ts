import { closeSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { openLogFile } from './open-log-file.ts';

const stranger = 1234;

function setup() {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  return {
    directory,
    path,
    opening: (name: string): string => {
      const opened = openLogFile(path(name), [directory]);
      if ('refused' in opened) return opened.refused;
      closeSync(opened.handle);
      return 'opened';
    },
  };
}

test('follows links as the kernel does', () => {
  const { path, opening } = setup();
  mkdirSync(path('real/deep'), { recursive: true });
  writeFileSync(path('real/target'), '');
  symlinkSync('real/deep', path('link'));
  symlinkSync('link/../target', path('up'));
  symlinkSync(path('up'), path('absolute'));
  symlinkSync('missing', path('dangling'));
  symlinkSync('round', path('round'));
  symlinkSync('real/target/', path('slash'));

  expect(
    ['up', 'absolute', 'real/target', 'dangling', 'round', 'real', 'real/target/x', 'slash'].map(opening),
  ).toEqual(['opened', 'opened', 'opened', 'ENOENT', 'ELOOP', 'directory', 'ENOTDIR', 'ENOTDIR']);
});

test.runIf(process.getuid?.() === 0)(
  'is not deceived by a link that is exchanged while it looks',
  async () => {
    const { directory, path } = setup();
    writeFileSync(path('root-only'), 'secret');
    const secret = statSync(path('root-only')).ino;
    writeFileSync(path('own'), 'own');
    writeFileSync(path('app.log'), 'own');
    const exchange = new Worker(
      `const { lchownSync, linkSync, renameSync, symlinkSync } = require('node:fs');
     const { workerData: { at, stranger } } = require('node:worker_threads');
     const turn = () => {
       for (let each = 0; each < 1000; each += 1) {
         symlinkSync('root-only', at + '/link');
         lchownSync(at + '/link', stranger, stranger);
         renameSync(at + '/link', at + '/app.log');
         linkSync(at + '/own', at + '/file');
         renameSync(at + '/file', at + '/app.log');
         symlinkSync('own', at + '/trusted');
         renameSync(at + '/trusted', at + '/app.log');
       }
       setImmediate(turn);
     };
     turn();`,
      { eval: true, workerData: { at: directory, stranger } },
    );
    onTestFinished(async () => void (await exchange.terminate()));
    const seen = new Set<string>();
    let deceived = 0;

    for (let tries = 0; tries < 5_000 || (seen.size < 2 && tries < 100_000); tries += 1) {
      const opened = openLogFile(path('app.log'), [directory]);
      seen.add('refused' in opened ? opened.refused : 'opened');
      if ('refused' in opened) continue;
      if (opened.stat.ino === secret) deceived += 1;
      closeSync(opened.handle);
    }

    expect(deceived).toBe(0);
    expect(seen).toContain('opened');
    expect(seen).toContain('foreign-link');
  },
);
