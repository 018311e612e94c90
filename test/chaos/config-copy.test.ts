import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { copyName, copyOnDisk } from '../../src/agent/gateway-config/copy-on-disk.ts';
import { tell } from '../support/dice.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { question, sealedVersion } from './config-copy.ts';

const writer = fileURLToPath(new URL('./write-config-copy.ts', import.meta.url));
const preload = new URL('./kill-at-file-step.mjs', import.meta.url).href;

it('a copy of the gateway config that is replaced is the old or the new one, at whichever step of it the agent is killed', async () => {
  const folder = temporaryDirectory();
  const disk = copyOnDisk(folder, question);
  await disk.write(await sealedVersion('version-0'));
  const found: string[] = [];

  for (let step = 1; ; step += 1) {
    const before = `version-${step - 1}`;
    await disk.write(await sealedVersion(before));
    const code = await written(folder, await sealedVersion(`version-${step}`), step);
    const { claims } = (await disk.read()) ?? {};
    expect([before, `version-${step}`], `step ${step}`).toContain(claims?.versionId);
    found.push(claims?.versionId === before ? 'old' : 'new');
    await disk.removeStale();
    expect(readdirSync(folder), `step ${step}`).toEqual([copyName]);
    if (code === 0) break;
  }

  tell(`killed at each of ${found.length - 1} steps: ${found.join(' ')}`);
  expect(found.length).toBeGreaterThan(4);
  expect(found[0]).toBe('old');
  expect(found.at(-1)).toBe('new');
  // Once the new one is there, no later step takes it away.
  expect(found.slice(found.indexOf('new'))).not.toContain('old');
});

/** The exit code of a process that writes a copy and is killed at this step; null where it was killed. */
async function written(folder: string, message: Buffer, step: number): Promise<number | null> {
  const child = spawn(process.execPath, [`--import=${preload}`, writer, folder], {
    env: { ...process.env, GATEHOUSE_TEST_KILL_AT: String(step) },
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(message);
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}
