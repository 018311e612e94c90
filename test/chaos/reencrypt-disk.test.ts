import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { sealedFiles } from '../../src/agent/master-key/sealed-files.ts';
import { GatehouseError } from '../../src/base/errors.ts';
import { targetOf } from '../../src/keys/ledger.ts';
import { reencrypt } from '../../src/keys/reencryption.ts';
import { systemError } from '../../src/system/errors.ts';
import { type Dice, dice, tell } from '../support/dice.ts';
import { generationAt, ledgerIn, leftovers, makeSealedHost, testKeyOf } from '../support/sealed-host.ts';
import { stepping } from '../support/stepping.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { sized } from './sized.ts';

const minuteMs = 60_000;
const never = new AbortController().signal;
const filesInBatch = 256;

/** What re-encryption does to the disk, and how often it does it at least with so many files left. */
const kinds = {
  open: (left: number) => left,
  stage: (left: number) => left,
  write: (left: number) => left,
  commit: (left: number) => left,
  sync: (left: number) => Math.ceil(left / filesInBatch),
  transaction: (left: number) => Math.ceil(left / filesInBatch),
  'in the transaction': (left: number) => Math.ceil(left / filesInBatch),
  'after the transaction': (left: number) => Math.ceil(left / filesInBatch),
  sweep: () => 1,
  forget: () => 1,
  finish: () => 1,
} as const;

const errors = {
  ENOSPC: () => systemError('FILE_SYSTEM_FULL', { errno: 'ENOSPC' }),
  EROFS: () => systemError('FILE_SYSTEM_FULL', { errno: 'EROFS' }),
  EIO: () => systemError('FILE_FAILED', { errno: 'EIO' }),
} as const;

/** Somebody who reads one sealed file after the other, as the agent does; each must open at every instant. */
function reading(paths: readonly string[], { between }: Dice) {
  const over = new AbortController();
  let reads = 0;
  const ended = (async () => {
    while (!over.signal.aborted) {
      const number = between(0, paths.length);
      await generationAt(paths[number] ?? '', number);
      reads += 1;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  })();
  return {
    async stop() {
      over.abort();
      await ended;
      return reads;
    },
  };
}

/** Goes on with the change that is under way, or begins the next one. True when it was ended. */
async function run(folder: string, fails: (what: string) => void): Promise<boolean> {
  const ledger = ledgerIn(folder);
  const disks = sealedFiles();
  try {
    const from = ledger.sealing() ?? 0;
    const change = ledger.change() ?? ledger.begin({ number: from + 1, createdAt: new Date() });
    const parts = stepping({ ledger, files: disks }, fails);
    const options = { ...parts, keyOf: testKeyOf, target: targetOf(change), concurrency: 4 };
    const { left } = await reencrypt({ ...options, progress: () => undefined }, never);
    return left.length === 0 && parts.ledger.finish();
  } finally {
    ledger.close();
    await disks.close();
  }
}

function filesLeft(folder: string): number {
  const ledger = ledgerIn(folder);
  const change = ledger.change();
  const { at, all } = ledger.count(change === undefined ? 0 : targetOf(change));
  ledger.close();
  return all - at;
}

it.each(Object.entries(errors))(
  '10,000 files, %s at each kind of step while others read',
  {
    timeout: 20 * minuteMs,
  },
  async (name, error) => {
    const files = sized(10_000, 600);
    const thrown = dice(`re-encryption through ${name}`);
    const folder = temporaryDirectory();
    const paths = await makeSealedHost(folder, files);
    const reader = reading(paths, thrown);

    for (const [kind, timesIn] of Object.entries(kinds)) {
      while (filesLeft(folder) === 0) await run(folder, () => undefined);
      let nth = 1 + thrown.between(0, timesIn(filesLeft(folder)));
      let hasFailed = false;
      const outcome = await run(folder, (what) => {
        if (what !== kind || (nth -= 1) !== 0) return;
        hasFailed = true;
        throw error();
      }).catch((caught: unknown) => caught);

      expect({ kind, hasFailed }).toEqual({ kind, hasFailed: true });
      // Either it went on without a file, or it ended with the disk's own error.
      const isFit =
        typeof outcome === 'boolean' || (outcome instanceof GatehouseError && outcome.code === error().code);
      expect({ kind, isFit, outcome }).toMatchObject({ isFit: true });
      expect({ kind, leftovers: leftovers(folder) }).toEqual({ kind, leftovers: [] });
      for (const [number, path] of paths.entries()) await generationAt(path, number);
    }
    expect(await run(folder, () => undefined)).toBe(true);

    const reads = await reader.stop();
    const generations = new Set<number>();
    for (const [number, path] of paths.entries()) generations.add(await generationAt(path, number));
    expect(generations.size).toBe(1);
    expect(leftovers(folder)).toEqual([]);
    tell(`${files} files through ${Object.keys(kinds).length} times ${name}; ${reads} reads meanwhile`);
  },
);

it('a disk that is full, and one that becomes read-only, stop it with their own error, and it goes on', async () => {
  const files = 400;
  const thrown = dice('re-encryption on a disk of its own');
  const folder = temporaryDirectory();
  mkdirSync(join(folder, 'sealed'));
  const mount = (...options: readonly string[]): void => {
    execFileSync('mount', [...options, 'gatehouse-sealed', join(folder, 'sealed')]);
  };
  mount('-t', 'tmpfs', '-o', 'size=4m');
  onTestFinished(() => {
    execFileSync('umount', ['-l', join(folder, 'sealed')]);
  });
  const paths = await makeSealedHost(folder, files);
  const reader = reading(paths, thrown);
  const ballast = join(folder, 'sealed', 'ballast.sealed');
  // The sealed files have 1.6 MB in pages of 4 KiB, and a batch of replacements one more.
  const full = () => {
    try {
      writeFileSync(ballast, Buffer.alloc(4_000_000));
    } catch {
      // As much as there was room for.
    }
  };

  full();
  const onFull = await run(folder, () => undefined).catch((caught: unknown) => caught);
  rmSync(ballast);
  let isReadOnly = false;
  const onReadOnly = await run(folder, (what) => {
    // Between two files nothing is open for writing.
    if (isReadOnly || what !== 'transaction') return;
    mount('-o', 'remount,ro');
    isReadOnly = true;
  }).catch((caught: unknown) => caught);
  mount('-o', 'remount,rw,size=4m');

  expect(onFull).toMatchObject({ code: 'FILE_SYSTEM_FULL' });
  expect(onReadOnly).toMatchObject({ code: 'FILE_SYSTEM_FULL' });
  expect(await run(folder, () => undefined)).toBe(true);
  await reader.stop();
  for (const [number, path] of paths.entries()) expect(await generationAt(path, number)).toBe(2);
  expect(leftovers(folder)).toEqual([]);
});
