import type { DiskSpoolOptions } from '../../src/events/spool/disk.ts';
import { a, batchOf, never, textOf } from '../../src/events/spool.contract.ts';
import type { Spool, SpooledBatch } from '../../src/events/spool.ts';
import { memoryFolders, spoolFixture } from './spool-fixture.ts';

/** What waits of a stream, a text for each batch. */
export async function texts(spool: Spool, stream = a): Promise<string[]> {
  return (await spool.read({ stream, batchesMax: 1_000_000 }, never)).map(textOf);
}

/** Appends a batch, and with it moves item `i` of source `s` to the position. */
export async function append(spool: Spool, text: string, position?: string, stream = a): Promise<void> {
  const moved = position === undefined ? [] : [{ source: 's', item: 'i', value: position }];
  await spool.append(batchOf(stream, text), moved, never);
}

/** Appends a batch to a spool that has none, and reads it. */
export async function appendedAndRead(spool: Spool, text: string, position?: string): Promise<SpooledBatch> {
  await append(spool, text, position);
  const [batch] = await spool.read({ stream: a, batchesMax: 1 }, never);
  if (batch === undefined) throw new Error('nothing read');
  return batch;
}

export async function settleOldest(spool: Spool, count = 1, stream = a): Promise<void> {
  for (const batch of await spool.read({ stream, batchesMax: count }, never)) await spool.settle(batch, []);
}

export const longLine = (number: number): string => `${number} ${'x'.repeat(1000)}`;

/** The folders of a spool in which three batches wait: texts that begin with 1, 2 and 3, which are their positions too. */
export async function three(segmentBytes = 2 ** 20, options: Partial<DiskSpoolOptions> = {}) {
  const fixture = spoolFixture({ segmentBytes, ...options });
  const folders = memoryFolders();
  const first = await fixture.open(folders);
  for (const number of [1, 2, 3]) await append(first, `${number} ${'x'.repeat(500)}`, String(number));
  await first.close();
  return { ...fixture, folders };
}

/** What texts begin with. */
export const numbers = (found: readonly string[]): string[] => found.map((text) => text.slice(0, 1));
