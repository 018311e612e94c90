/** Started by disk.test.ts as a process of its own: appends numbered batches as fast as it can until it is killed. */
import { Secret } from '../../base/secret.ts';
import { encodeChunk, openBatch } from '../batch.ts';
import { keyRing } from './data-keys.ts';
import { diskSpool } from './disk.ts';
import { folderStorage } from './folder-storage.ts';

const [path = '', key = ''] = process.argv.slice(2);
const clock = { now: () => new Date(), monotonic: () => performance.now() };
const log = (): void => undefined;
const first = { keyId: '00000000000000ab', key: Secret.ofBytes(Buffer.from(key, 'hex')), madeMs: Date.now() };
const none = (): Promise<never> => Promise.reject(new Error('no other key'));
const keeper = { current: none, fresh: none, open: none, keepOnly: () => undefined };
const spool = await diskSpool({
  folders: {
    spool: await folderStorage(`${path}/spool`),
    deadLetter: await folderStorage(`${path}/dead-letter`),
    quarantine: await folderStorage(`${path}/quarantine`),
  },
  bytesMax: 2 ** 30,
  segmentBytes: 64 * 1024,
  keys: keyRing(keeper, { first, clock, log }),
  allowClearSpool: false,
  deadLetterBytesMax: 2 ** 24,
  clock,
  log,
});
const signal = new AbortController().signal;
const stream = { logGroup: 'g', logStream: 's' };
for (let from = Number(spool.position('numbers').get('next') ?? 0); ; from += 10) {
  const open = openBatch(stream);
  const lines = Array.from({ length: 10 }, (_, index) => `${from + index} ${'.'.repeat(500)}`).join('\n');
  for (const piece of encodeChunk(Buffer.from(lines), 1_795_000_000_000).pieces) open.add(piece);
  await spool.append(open.seal(), [{ source: 'numbers', item: 'next', value: String(from + 10) }], signal);
  process.stdout.write(`${from + 10}\n`);
}
