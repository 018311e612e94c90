import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const root = dirname(dirname(import.meta.dirname));

interface LockedPackage {
  readonly version: string;
  readonly integrity: string;
  readonly license?: string;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

const lock: Lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));

/** A package as package-lock.json pins it. `path` is its name, or its place below another's node_modules. */
export function lockedPackage(path: string): LockedPackage {
  const found = lock.packages[`node_modules/${path}`];
  if (found === undefined) throw new Error(`package-lock.json has no ${path}`);
  return found;
}
