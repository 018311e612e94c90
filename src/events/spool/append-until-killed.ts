/** Started by sqlite.test.ts as a process of its own: appends numbered batches as fast as it can until it is killed. */
import { Secret } from '../../base/secret.ts';
import { encodeChunk, openBatch } from '../batch.ts';
import { sqliteSpool } from './sqlite.ts';

const [path = '', key = ''] = process.argv.slice(2);
const spool = sqliteSpool({
  path,
  bytesMax: 2 ** 30,
  dataKey: Secret.ofBytes(Buffer.from(key, 'hex')),
  allowClearSpool: false,
  clock: { now: () => new Date() },
  log: () => undefined,
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
