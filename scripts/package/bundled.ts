import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lockedPackage, root } from './lock.ts';

/** A package of which something is in dist/. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX, where package-lock.json knows it. */
  readonly license: string | undefined;
  /** Below node_modules: `yargs`, `a/node_modules/b`. */
  readonly path: string;
  /** Texts of its license and notice files, by name. */
  readonly notices: readonly (readonly [name: string, text: string])[];
}

const noticeFile = /^(?:licen[sc]e|notice|copying)(?:[.-].*)?$/iu;

/** Whose code dist/ holds, as its source maps tell: what npm installs is more, and is not shipped. */
export function bundledPackages(): readonly BundledPackage[] {
  const maps = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.mjs.map'));
  if (maps.length === 0) throw new Error('dist/ has no source maps: build first');
  const paths = new Set(maps.flatMap((name) => packagesOf(readFileSync(join(root, 'dist', name), 'utf8'))));
  if (paths.size === 0) throw new Error('the source maps of dist/ name no package, which cannot be');
  return [...paths].toSorted().map((path) => ({
    version: lockedPackage(path).version,
    license: lockedPackage(path).license,
    name: path.split('/node_modules/').at(-1) ?? path,
    path,
    notices: noticesOf(path),
  }));
}

function packagesOf(map: string): string[] {
  const { sources }: { sources: readonly string[] } = JSON.parse(map);
  return sources.flatMap((source) => packagePath(source) ?? []);
}

/** Exported for its test: `../node_modules/@a/b/lib/c.js` → `@a/b`. */
export function packagePath(source: string): string | undefined {
  const [, path] = /(?:^|\/)node_modules\/((?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//u.exec(source) ?? [];
  return path;
}

function noticesOf(path: string): BundledPackage['notices'] {
  const folder = join(root, 'node_modules', path);
  return readdirSync(folder)
    .filter((name) => noticeFile.test(name))
    .toSorted()
    .map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const);
}
