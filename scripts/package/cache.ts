import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A folder outside the repository for what is large and can be fetched again; made where it is not there. */
export function cacheFolder(name: string): string {
  const { GATEHOUSE_BUILD_CACHE: own, XDG_CACHE_HOME: users } = process.env;
  const folder = join(own ?? join(users ?? join(homedir(), '.cache'), 'gatehouse'), name);
  mkdirSync(folder, { recursive: true });
  return folder;
}
