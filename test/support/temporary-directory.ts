import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A directory that is gone when the test is: on the disk, or in memory with `{ tmpfs: true }`. */
export function temporaryDirectory(options: { tmpfs?: boolean } = {}): string {
  const directory = mkdtempSync(join(options.tmpfs === true ? '/dev/shm' : tmpdir(), 'gatehouse-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
