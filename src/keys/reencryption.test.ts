import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  contentOf,
  contextOf,
  generationAt,
  ledgerIn,
  leftovers,
  makeSealedHost,
  testKeyOf,
} from '../../test/support/sealed-host.ts';
import { stepping } from '../../test/support/stepping.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { sealedFiles } from '../agent/master-key/sealed-files.ts';
import { systemError } from '../system/errors.ts';
import type { Ledger } from './ledger.ts';
import { masterKeyring } from './master-keyring.ts';
import { messageSealer } from './message-sealer.ts';
import { type Progress, reencrypt, type SealedFiles } from './reencryption.ts';

const never = new AbortController().signal;

async function setup(count: number) {
  const folder = temporaryDirectory();
  const paths = await makeSealedHost(folder, count);
  const progress: Progress[] = [];
  const run = async (
    parts: { ledger?: Ledger; files?: SealedFiles; target?: number; concurrency?: number } = {},
  ) => {
    const ledger = parts.ledger ?? ledgerIn(folder);
    const files = sealedFiles();
    try {
      return await reencrypt(
        {
          ledger,
          files: parts.files ?? files,
          keyOf: testKeyOf,
          target: parts.target ?? 2,
          concurrency: parts.concurrency ?? 3,
          progress: (now) => progress.push(now),
        },
        never,
      );
    } finally {
      ledger.close();
      await files.close();
    }
  };
  const generations = () => Promise.all(paths.map((path, number) => generationAt(path, number)));
  return { folder, paths, run, generations, progress };
}

describe('re-encryption', () => {
  it('brings every file under the new key, with owner, mode, context and content as they were', async () => {
    const { folder, paths, run, generations, progress } = await setup(150);
    chmodSync(paths[7] ?? '', 0o640);

    const done = await run();

    expect(done).toEqual({ files: 150, gone: [], left: [] });
    expect(new Set(await generations())).toEqual(new Set([2]));
    expect((statSync(paths[7] ?? '').mode & 0o777).toString(8)).toBe('640');
    expect(leftovers(folder)).toEqual([]);
    expect(progress[0]).toEqual({ phase: 'rewriting', done: 0, of: 150 });
    expect(progress.at(-1)).toEqual({ phase: 'checking', done: 150, of: 150 });
    const ledger = ledgerIn(folder);
    onTestFinished(() => ledger.close());
    expect(ledger.finish()).toBe(true);
  });

  it.each([0, Number.NaN])('ends at once where no file may be under way: %s', async (concurrency) => {
    const { run, generations } = await setup(2);

    await expect(run({ concurrency })).rejects.toThrow(TypeError);

    expect(await generations()).toEqual([1, 1]);
  });

  it('makes each folder durable once for many files, before they are on record', async () => {
    const { folder, run } = await setup(150);
    const steps: string[] = [];
    const real = sealedFiles();
    onTestFinished(() => real.close());

    await run(stepping({ files: real, ledger: ledgerIn(folder) }, (what) => steps.push(what)));

    const count = (what: string) => steps.filter((each) => each === what).length;
    expect(count('commit')).toBe(150);
    expect(count('transaction')).toBe(1);
    expect(count('sync')).toBe(1);
    expect(steps.indexOf('sync')).toBeGreaterThan(steps.lastIndexOf('commit'));
    expect(steps.indexOf('sync')).toBeLessThan(steps.indexOf('after the transaction'));
  });

  it('goes back as it came', async () => {
    const { folder, run, generations } = await setup(5);
    await run();
    const ledger = ledgerIn(folder);
    ledger.turnBack();

    await run({ ledger, target: 1 });

    expect(await generations()).toEqual([1, 1, 1, 1, 1]);
  });

  it('leaves what it cannot read as it is, says why, and brings the rest', async () => {
    const { folder, paths, run } = await setup(4);
    const [gone = '', damaged = '', good = '', cut = ''] = paths;
    rmSync(gone);
    const bytes = readFileSync(damaged);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    writeFileSync(damaged, bytes);
    writeFileSync(cut, readFileSync(cut).subarray(0, 100));

    const done = await run();

    expect(done).toMatchObject({
      files: 1,
      gone: [gone],
      left: [
        { path: damaged, error: { code: 'SEALED_DAMAGED' } },
        { path: cut, error: { code: 'SEALED_DAMAGED' } },
      ],
    });
    expect(readFileSync(damaged).equals(bytes)).toBe(true);
    expect(await generationAt(good, 2)).toBe(2);
    const ledger = ledgerIn(folder);
    onTestFinished(() => ledger.close());
    expect(ledger.finish()).toBe(false);
  });

  it('never puts what it read over a file that was sealed anew meanwhile', async () => {
    const { folder, paths, run } = await setup(3);
    const [first = ''] = paths;
    const newer = await messageSealer(masterKeyring(2, testKeyOf)).seal(
      Buffer.from('newer'),
      contextOf(0),
      never,
    );
    const files = sealedFiles();
    onTestFinished(() => files.close());
    let isReplaced = false;

    const done = await run({
      files: {
        ...files,
        async open(path) {
          const file = await files.open(path);
          return {
            ...file,
            async stage(sealed) {
              const staged = await file.stage(sealed);
              if (path === first && !isReplaced) {
                isReplaced = true;
                rmSync(first);
                writeFileSync(first, newer);
              }
              return staged;
            },
          };
        },
      },
    });

    expect(done.files).toBe(3);
    expect(readFileSync(first).equals(newer)).toBe(true);
    expect(leftovers(folder)).toEqual([]);
  });

  it('brings an older copy that came back while it checked', async () => {
    const { paths, run, generations } = await setup(3);
    const [first = ''] = paths;
    const old = readFileSync(first);
    const files = sealedFiles();
    onTestFinished(() => files.close());
    let opens = 0;

    await run({
      files: {
        ...files,
        async open(path) {
          if (path === first && (opens += 1) === 2) writeFileSync(first, old);
          return files.open(path);
        },
      },
    });

    expect(await generations()).toEqual([2, 2, 2]);
  });
});

/** Stops at one of its steps, and takes none after it: what a killed process leaves behind, without the waiting. */
function diesAt(wanted: number, files: SealedFiles, ledger: Ledger) {
  let steps = 0;
  const parts = stepping({ files, ledger }, () => {
    if ((steps += 1) >= wanted) throw new Error('killed');
  });
  return { ...parts, hasDied: () => steps >= wanted };
}

/** One step fails as a disk does; every other works. */
function failsAt(wanted: number, files: SealedFiles, ledger: Ledger, error: () => Error) {
  let steps = 0;
  const parts = stepping({ files, ledger }, (what) => {
    // Removing what was written fails for other reasons, and is done again by the next run.
    if (what !== 'discard' && (steps += 1) === wanted) throw error();
  });
  return { ...parts, hasFailed: () => steps >= wanted };
}

describe('re-encryption that is interrupted', () => {
  it('at any of its steps: every file opens before it is run again, and after it under the new key', {}, async () => {
    const count = 4;
    let isEnded = false;
    for (let step = 1; !isEnded; step += 1) {
      const { folder, run, generations } = await setup(count);
      const real = sealedFiles();
      const dying = diesAt(step, real, ledgerIn(folder));
      await run(dying).catch(() => undefined);
      await real.close();
      isEnded = !dying.hasDied();

      for (const generation of await generations()) expect([1, 2], `step ${step}`).toContain(generation);
      expect(await run(), `step ${step}`).toEqual({ files: count, gone: [], left: [] });
      expect(await generations(), `step ${step}`).toEqual(Array.from({ length: count }, () => 2));
      expect(step, 'a test that never ends tells nothing').toBeLessThan(200);
      expect(leftovers(folder), `step ${step}`).toEqual([]);
    }
  });

  it.each([
    ['ENOSPC', () => systemError('FILE_SYSTEM_FULL', { errno: 'ENOSPC' })],
    ['EROFS', () => systemError('FILE_SYSTEM_FULL', { errno: 'EROFS' })],
    ['EIO', () => systemError('FILE_FAILED', { errno: 'EIO' })],
  ])('by %s at any of its steps: no file is lost, and the next run brings them all', async (_name, error) => {
    const count = 3;
    let isEnded = false;
    for (let step = 1; !isEnded; step += 1) {
      const { folder, run, generations } = await setup(count);
      const real = sealedFiles();
      const failing = failsAt(step, real, ledgerIn(folder), error);
      const outcome = await run(failing).catch((caught: unknown) => caught);
      await real.close();
      isEnded = !failing.hasFailed();
      // Either it went on without a file, or it ended with the disk's own error.
      expect(outcome, `step ${step}`).toMatchObject(outcome instanceof Error ? { code: error().code } : {});

      for (const generation of await generations()) expect([1, 2], `step ${step}`).toContain(generation);
      expect(leftovers(folder), `step ${step}`).toEqual([]);
      expect((await run()).files, `step ${step}`).toBe(count);
      expect(await generations(), `step ${step}`).toEqual([2, 2, 2]);
      expect(step).toBeLessThan(200);
    }
  });

  it('keeps what a file holds, to the byte, whatever its length', async () => {
    const { paths, run } = await setup(60);

    await run();

    for (const [number, path] of paths.entries()) {
      expect(await generationAt(path, number)).toBe(2);
      expect(contentOf(number).length).toBeGreaterThan(0);
    }
  });
});
