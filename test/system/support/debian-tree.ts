import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../../scripts/package/cache.ts';
import { mustRun } from './run-program.ts';

const suite = 'bookworm';
const mirror = 'http://deb.debian.org/debian';

/**
 * Folder with a Debian 12 that has these packages beside the smallest system: made once by debootstrap (a minute and a
 * network), then kept in the cache. Copy it before changing anything in it.
 */
export async function debianTree(packages: readonly string[]): Promise<string> {
  const folder = cacheFolder('debian');
  const name = createHash('sha256')
    .update(JSON.stringify([suite, packages]))
    .digest('hex')
    .slice(0, 12);
  const tree = join(folder, name);
  if (existsSync(tree)) return tree;
  const draft = mkdtempSync(join(folder, 'draft-'));
  try {
    const include = packages.length === 0 ? [] : [`--include=${packages.join(',')}`];
    await mustRun(['debootstrap', '--variant=minbase', ...include, suite, draft, mirror]);
    rmSync(join(draft, 'var/cache/apt/archives'), { recursive: true, force: true });
    // Made private by mkdtemp; the root folder of a system is not.
    chmodSync(draft, 0o755);
    renameSync(draft, tree);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return tree;
}
