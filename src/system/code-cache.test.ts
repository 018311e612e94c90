import { execFile } from 'node:child_process';
import { chmodSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';

const module = fileURLToPath(new URL('./code-cache.ts', import.meta.url));

/** What a process of its own keeps in its cache; how it answers for its workers. */
async function keeping(directories: string): Promise<Record<string, string>> {
  const script = `import { codeCacheEnvironment, flushCompiledCode, keepCompiledCode } from ${JSON.stringify(module)};
    keepCompiledCode(process.argv[1]);
    flushCompiledCode();
    process.stdout.write(JSON.stringify(codeCacheEnvironment()));`;
  const args = ['--input-type=module', '-e', script, directories];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: {} });
  return JSON.parse(stdout) as Record<string, string>;
}

describe('the code cache', () => {
  test('is in the first folder of the list, and workers are told of it', async () => {
    const directory = temporaryDirectory();

    const environment = await keeping(`${directory}:/nowhere`);

    expect(environment).toEqual({ NODE_COMPILE_CACHE: directory });
    expect(readdirSync(directory)).toHaveLength(1);
  });

  test.each([0o777, 0o770, 0o702])('is never in a folder that others may write: mode %o', async (mode) => {
    const directory = temporaryDirectory();
    chmodSync(directory, mode);

    expect(await keeping(directory)).toEqual({});
    expect(readdirSync(directory)).toEqual([]);
  });

  test('is not made where there is no folder', async () => {
    expect(await keeping('/nowhere/at/all')).toEqual({});
  });
});
