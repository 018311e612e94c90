import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { lockedPackage, root } from './lock.ts';

export type Architecture = 'amd64' | 'arm64';

const nodeNames: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };

/**
 * Folder of the Node that package-lock.json names for an architecture, with `bin/node` and `LICENSE`. npm installs the
 * one of this machine only: another is fetched, checked against the lock's integrity, and kept in the cache.
 */
export function nodeFolder(architecture: Architecture): string {
  const name = `node-linux-${nodeNames[architecture]}`;
  const installed = join(root, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;

  const { version, integrity } = lockedPackage(name);
  const cache = cacheFolder('node');
  const unpacked = join(cache, `${name}-${version}`);
  if (existsSync(join(unpacked, 'bin/node'))) return unpacked;

  const draft = mkdtempSync(join(cache, 'draft-'));
  try {
    const spec = `${name}@${version}`;
    execFileSync('npm', ['pack', spec, '--silent', '--pack-destination', draft], {
      cwd: draft,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const archive = join(draft, `${name}-${version}.tgz`);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${spec} is ${found}, and package-lock.json says ${integrity}`);
    execFileSync('tar', ['-xzf', archive, '-C', draft, '--no-same-owner', 'package/bin', 'package/LICENSE']);
    renameSync(join(draft, 'package'), unpacked);
  } finally {
    rmSync(draft, { recursive: true });
  }
  return unpacked;
}
