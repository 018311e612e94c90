import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { sealedFiles } from '../../src/agent/master-key/sealed-files.ts';
import { masterKeyNamespace, masterKeyring, masterKeyUnwrapper } from '../../src/keys/master-keyring.ts';
import { sealMessage } from '../../src/keys/message-cipher.ts';
import { messageSealer, openBytes, openVerified } from '../../src/keys/message-sealer.ts';
import { reencrypt } from '../../src/keys/reencryption.ts';
import { suiteId } from '../../src/keys/sealed-message.ts';
import { contextOf, ledgerIn, makeSealedHost, testKeyOf } from '../support/sealed-host.ts';
import { type BenchHost, benchHost } from './bench-host.ts';
import type { Bench, BenchOptions, Sample, Subject } from './measure.ts';
import { ready, warmHost } from './start.ts';

/** As `gatehouse master-key reencrypt` has them unless told otherwise; the copy has as many. */
const lanes = 16;

const never = new AbortController().signal;
const tellPeak = new URL('./tell-peak.mjs', import.meta.url).href;
const context = contextOf(1);
const small = randomBytes(100);

const sdk = 'Encryption SDK';
const bare = 'bare AES-256-GCM';
const nothing = 'gatehouse --version';
const copied = 'read, write, fsync, rename';

/**
 * Sealing and opening under the master key, in this process and without any call. Small: 100 bytes, whole buffers. Large:
 * a stream, of which opening reads all twice; and once more as the commands do it, with the most memory
 * that they held. Re-encryption: small files, beside writing them as durably without sealing; `files cpu` is of the main
 * thread, and hardly moves while others use the machine. A start with many sealed files: until `agent.ready`, with its
 * calls to KMS to decrypt.
 */
export const seal: Bench = {
  name: 'seal',
  summary: 'sealing and opening under the master key; re-encryption',
  units: {
    seal: '1/s',
    open: '1/s',
    sealLarge: 'MB/s',
    openLarge: 'MB/s',
    sealPeak: 'MB',
    openPeak: 'MB',
    files: '1/s',
    'files cpu': 'ms',
    start: 'ms',
    decrypts: 'calls',
  },
  baselines: [sdk, bare, nothing, copied],
  rounds: { usual: 5, quick: 1 },
  prepare,
};

async function prepare(
  { programs, isQuick }: BenchOptions,
  opened: AsyncDisposableStack,
): Promise<readonly Subject[]> {
  const times = isQuick ? 20 : 2000;
  const largeBytes = (isQuick ? 1 : 100) * 1_000_000;
  const files = isQuick ? 50 : 10_000;
  const commands = await Promise.all(
    programs.map(async (program): Promise<readonly Subject[]> => {
      const host = await benchHost(program, { isBare: true, masterKeyUnder: 'SYMMETRIC_DEFAULT' }, opened);
      const sealed = { sealedFiles: isQuick ? 2 : 1_000, masterKeyUnder: 'SYMMETRIC_DEFAULT' } as const;
      const many = await warmHost(program, sealed, opened);
      return [
        { name: nothing, program, measure: () => byNothing(host) },
        { name: 'gatehouse seal, unseal', program, measure: () => byCommands(host, largeBytes) },
        { name: 'agent, 1,000 sealed files', program, measure: () => byStart(many) },
      ];
    }),
  );
  return [
    { name: sdk, measure: () => bySdk(times) },
    { name: bare, measure: () => byCipher(largeBytes) },
    { name: 'gatehouse', measure: () => byUs(times, largeBytes) },
    ...commands.flat(),
    { name: copied, measure: () => inFolder(files, copyAll) },
    { name: 'gatehouse, re-encryption', measure: () => inFolder(files, reencryptAll) },
  ];
}

async function byUs(times: number, largeBytes: number): Promise<Sample> {
  const keyring = masterKeyring(1, testKeyOf);
  const sealer = messageSealer(keyring);
  const sealed = await sealer.seal(small, context, never);
  const unwrapper = masterKeyUnwrapper(testKeyOf);
  const pieces: Buffer[] = [];
  const sealLarge = await megabytes(largeBytes, async () => {
    const dataKey = await keyring.wrap(context, never);
    for await (const piece of sealMessage(zeros(largeBytes), context, dataKey)) pieces.push(piece);
  });
  const openLarge = await megabytes(largeBytes, async () => {
    const opening = await openVerified(
      () => pieces,
      () => undefined,
      unwrapper,
      never,
    );
    for await (const piece of opening.pieces) piece.fill(0);
  });
  return {
    seal: await perSecond(times, () => sealer.seal(small, context, never)),
    open: await perSecond(times, () => openBytes(sealed, context, unwrapper, never)),
    sealLarge,
    openLarge,
  };
}

async function bySdk(times: number): Promise<Sample> {
  const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const key = await testKeyOf(1);
  const keyring = new RawAesKeyringNode({
    keyName: '1',
    keyNamespace: masterKeyNamespace,
    unencryptedMasterKey: Uint8Array.from(key.revealBytes()),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const options = { suiteId, encryptionContext: context };
  const { result } = await client.encrypt(keyring, small, options);
  return {
    seal: await perSecond(times, () => client.encrypt(keyring, small, options)),
    open: await perSecond(times, () => client.decrypt(keyring, result)),
  };
}

/** One cipher over everything: no frames, no key derivation, nothing verified before it is given out. */
async function byCipher(largeBytes: number): Promise<Sample> {
  const key = randomBytes(32);
  const iv = randomBytes(12);
  const pieces: Buffer[] = [];
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const sealLarge = await megabytes(largeBytes, async () => {
    for (const piece of zeros(largeBytes)) pieces.push(cipher.update(piece));
    cipher.final();
  });
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 });
  decipher.setAuthTag(cipher.getAuthTag());
  const openLarge = await megabytes(largeBytes, async () => {
    for (const piece of pieces) decipher.update(piece).fill(0);
    decipher.final();
  });
  return { sealLarge, openLarge };
}

/** What the program needs for nothing at all. */
async function byNothing(host: BenchHost): Promise<Sample> {
  const peak = await peakOf(host, '--version');
  return { sealPeak: peak, openPeak: peak };
}

async function byCommands(host: BenchHost, largeBytes: number): Promise<Sample> {
  const [plain, sealed] = ['large', 'large.sealed'].map((name) => join(host.disk, name));
  if (plain === undefined || sealed === undefined) throw new TypeError('two names');
  await writeFile(plain, zeros(largeBytes));
  let sealPeak = 0;
  let openPeak = 0;
  const sealLarge = await megabytes(largeBytes, async () => {
    sealPeak = await peakOf(host, 'seal', '--name', 'large', '--in', plain, '--out', sealed, '--force');
  });
  const openLarge = await megabytes(largeBytes, async () => {
    openPeak = await peakOf(host, 'unseal', sealed);
  });
  return { sealLarge, openLarge, sealPeak, openPeak };
}

async function byStart(host: BenchHost): Promise<Sample> {
  const { wall: start = 0, decrypts = 0 } = await ready(host);
  return { start, decrypts };
}

/** The most memory that a command held, in MB. */
async function peakOf(host: BenchHost, ...args: readonly string[]): Promise<number> {
  const { stderr } = await host.operate(['--import', tellPeak], ...args);
  return (Number(stderr.trim().split('\n').at(-1)) * 1024) / 1_000_000;
}

async function inFolder(
  files: number,
  work: (folder: string, files: number) => Promise<void>,
): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  try {
    await makeSealedHost(folder, files);
    const started = performance.now();
    const before = process.threadCpuUsage();
    await work(folder, files);
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.threadCpuUsage(before);
    return { files: files / seconds, 'files cpu': (user + system) / 1000 / files };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function reencryptAll(folder: string, files: number): Promise<void> {
  const ledger = ledgerIn(folder);
  const disks = sealedFiles();
  const parts = { ledger, files: disks, keyOf: testKeyOf, target: 2, concurrency: lanes };
  const done = await reencrypt({ ...parts, progress: () => undefined }, never);
  if (done.files !== files) throw new Error(`${done.files} of ${files} files`);
  await disks.close();
  ledger.close();
}

/** The same files written anew, as durably. */
async function copyAll(folder: string): Promise<void> {
  const sealed = join(folder, 'sealed');
  const waiting = readdirSync(sealed).values();
  const lane = async (): Promise<void> => {
    for (const name of waiting) {
      const bytes = await readFile(join(sealed, name));
      const file = await open(join(sealed, `${name}.tmp`), 'wx', 0o600);
      await file.writeFile(bytes);
      await file.sync();
      await file.close();
      await rename(join(sealed, `${name}.tmp`), join(sealed, name));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= 64 * 1024) yield Buffer.alloc(Math.min(left, 64 * 1024));
}

async function perSecond(times: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let n = 0; n < times; n += 1) await work();
  return times / ((performance.now() - started) / 1000);
}

async function megabytes(bytes: number, work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return bytes / 1_000_000 / ((performance.now() - started) / 1000);
}
