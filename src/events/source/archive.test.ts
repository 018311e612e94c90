import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { openArchive } from './archive.ts';

test('an archive whose handle gives nothing any more is waited for, given up and said, and throws nothing', async () => {
  const path = join(temporaryDirectory(), 'app.log.1.gz');
  writeFileSync(path, gzipSync('line\n'));
  const clock = fakeClock();
  const damaged: string[] = [];
  const archive = openArchive(
    // As of a file on NFS that its server has deleted: each call with it fails.
    { handle: 1_000_000, stat: statSync(path) },
    {
      rank: 1,
      path,
      currentPath: path,
      compression: 'gzip',
      encoding: 'auto',
      candidates: () => [],
      isWanted: true,
      patienceMs: 1_000,
      monotonic: () => clock.monotonic(),
      onMatched: () => undefined,
      onDamaged: (reason) => damaged.push(reason),
    },
  );

  expect(await archive.take()).toBeUndefined();
  expect(archive.isAtEnd).toBe(false);
  await clock.advance(1_000);
  expect(await archive.take()).toBeUndefined();
  expect(await archive.take()).toBeUndefined();

  expect(archive.isAtEnd).toBe(true);
  expect(damaged).toEqual(['EBADF']);
});
