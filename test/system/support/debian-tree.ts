import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../../scripts/package/cache.ts';
import { mustRun } from './run-program.ts';

const suite = 'bookworm';
const mirror = 'http://deb.debian.org/debian';

/**
 * Folder with a Debian 12 that has these packages beside the smallest system, ready to be copied and never changed.
 * Made once, by debootstrap and apt (a minute and a network each), then kept in the cache.
 */
export async function debianTree(packages: readonly string[] = []): Promise<string> {
  const folder = cacheFolder('debian');
  const name = createHash('sha256')
    .update(JSON.stringify([suite, packages]))
    .digest('hex')
    .slice(0, 12);
  const tree = join(folder, name);
  if (existsSync(tree)) return tree;
  const draft = mkdtempSync(join(folder, 'draft-'));
  try {
    if (packages.length === 0) {
      await mustRun(['debootstrap', '--variant=minbase', suite, draft, mirror]);
    } else {
      await copyTree(await debianTree(), draft);
      await install(draft, packages);
    }
    rmSync(join(draft, 'var/cache/apt/archives'), { recursive: true, force: true });
    // Made private by mkdtemp; the root folder of a system is not.
    chmodSync(draft, 0o755);
    renameSync(draft, tree);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return tree;
}

/** Copies the content of a tree into a folder that is there. */
export async function copyTree(tree: string, folder: string): Promise<void> {
  await mustRun(['cp', '-a', '--reflink=auto', `${tree}/.`, folder]);
}

/** A package of another architecture is named with it: `libc6:arm64`. */
async function install(tree: string, packages: readonly string[]): Promise<void> {
  const foreign = new Set(packages.flatMap((name) => name.split(':').slice(1)));
  await shellIn(
    tree,
    [
      ...[...foreign].map((architecture) => `dpkg --add-architecture ${architecture}`),
      'apt-get update -qq',
      `apt-get install -qq --no-install-recommends ${packages.join(' ')}`,
    ].join(' && '),
  );
}

/** Runs a script that must succeed, in namespaces of its own: what it starts ends with it. Resolves with its stdout. */
export async function shellIn(tree: string, script: string): Promise<string> {
  const flags = ['--register=no', '--keep-unit', '--quiet', '--pipe', '--as-pid2'];
  const env = '--setenv=DEBIAN_FRONTEND=noninteractive';
  return mustRun(['systemd-nspawn', `--directory=${tree}`, ...flags, env, '/bin/sh', '-c', script]);
}
