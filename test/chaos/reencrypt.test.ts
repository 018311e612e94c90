import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { sealedFiles } from '../../src/agent/master-key/sealed-files.ts';
import { reencrypt } from '../../src/keys/reencryption.ts';
import { dice, tell } from '../support/dice.ts';
import { generationAt, ledgerIn, leftovers, makeSealedHost, testKeyOf } from '../support/sealed-host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { sized } from './sized.ts';

const never = new AbortController().signal;
const child = fileURLToPath(new URL('./reencrypt-until-killed.ts', import.meta.url));

/** A re-encryption in a process of its own. `begun` resolves once it is at work, `ended` with what ended it. */
function reencryption(folder: string, killAt: number | 'never') {
  const argv = ['--disable-warning=ExperimentalWarning', child, folder, String(killAt)];
  const process = spawn(globalThis.process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const begun = once(process.stdout, 'data');
  const ended = once(process, 'exit').then(([code, signal]) => ({ code, signal }));
  return { kill: () => process.kill('SIGKILL'), begun: Promise.race([begun, ended]), ended };
}

it('killed at each of its steps, and run again', async () => {
  const files = 5;
  let step = 1;
  for (let isWhole = false; !isWhole; step += 1) {
    const folder = temporaryDirectory();
    const paths = await makeSealedHost(folder, files);

    const { code, signal } = await reencryption(folder, step).ended;
    isWhole = code === 0;
    expect(isWhole || signal === 'SIGKILL', `step ${step}: code ${String(code)}`).toBe(true);
    for (const [number, path] of paths.entries()) {
      expect([1, 2], `step ${step}`).toContain(await generationAt(path, number));
    }

    expect((await reencryption(folder, 'never').ended).code).toBe(0);
    for (const [number, path] of paths.entries()) expect(await generationAt(path, number)).toBe(2);
    expect(leftovers(folder)).toEqual([]);
  }
  tell(`re-encryption was killed at each of ${step - 2} steps`);
  expect(step).toBeGreaterThan(15);
});

it('10,000 files, killed at 100 random moments while others read', async () => {
  const files = sized(10_000, 2_000);
  const kills = sized(100, 10);
  const { between } = dice('re-encryption');
  const folder = temporaryDirectory();
  const paths = await makeSealedHost(folder, files);
  let reads = 0;
  const over = new AbortController();
  const reading = (async () => {
    while (!over.signal.aborted) {
      const number = Math.floor(between(0, files));
      await generationAt(paths[number] ?? '', number);
      reads += 1;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  })();

  let whole = 0;
  let target = 2;
  for (let kill = 0; kill < kills; kill += 1) {
    const running = reencryption(folder, 'never');
    // However long the process takes to start on a busy machine, the kill finds it at work.
    await running.begun;
    const timer = setTimeout(() => running.kill(), between(0, 2200));
    const { code } = await running.ended;
    clearTimeout(timer);
    if (code === 0) {
      // It was through before it was killed: another generation, so that there is something to interrupt.
      whole += 1;
      target += 1;
      const ledger = ledgerIn(folder);
      ledger.begin({ number: target, createdAt: new Date() });
      ledger.close();
    }
  }
  const started = performance.now();
  const ledger = ledgerIn(folder);
  const disks = sealedFiles();
  const { at: left } = ledger.count(target);
  const done = await reencrypt(
    { ledger, files: disks, keyOf: testKeyOf, target, concurrency: 4, progress: () => undefined },
    never,
  );
  const seconds = (performance.now() - started) / 1000;
  over.abort();
  await reading;

  expect(done).toEqual({ files, gone: [], left: [] });
  expect(ledger.finish()).toBe(true);
  ledger.close();
  await disks.close();
  for (const [number, path] of paths.entries()) expect(await generationAt(path, number)).toBe(target);
  expect(leftovers(folder)).toEqual([]);
  expect(reads).toBeGreaterThan(1000);
  tell(
    `re-encryption of ${files} files through ${kills} kills, ${whole} of them too late; ${reads} reads meanwhile; the last ${files - left} files in ${seconds.toFixed(1)} s`,
  );
});
