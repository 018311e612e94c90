import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/errno.ts';
import { storageFile } from './folder-storage.ts';
import { contentOf, type RecordKind, recordKind } from './record.ts';
import { nameOf, segmentNumbers } from './recovery.ts';
import { scanSegment } from './segment-scan.ts';

/** What a state directory holds that CloudWatch Logs has not taken. */
export interface Leftover {
  readonly batches: number;
  readonly events: number;
  /** Events in the dead letter. */
  readonly deadLetters: number;
}

const looksMax = 20;

/**
 * Counts what is left in a spool's files, without a key and without changing anything: heads of records are in clear.
 * Beside a running agent it is a picture of one moment. Rejects where the folders are there and cannot be read.
 */
export async function leftover(stateDirectory: string): Promise<Leftover> {
  const batches = await unsettled(join(stateDirectory, 'spool'), recordKind.batch);
  const letters = await unsettled(join(stateDirectory, 'dead-letter'), recordKind.letter);
  const events = [...batches.values()].reduce((sum, each) => sum + each, 0);
  return { batches: batches.size, events, deadLetters: letters.size };
}

/** Looks again where a running agent has removed a segment: what was not settled in it is in one that was not there yet. */
async function unsettled(folder: string, wanted: RecordKind): Promise<ReadonlyMap<number, number>> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await unsettledNow(folder, wanted);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || looks === looksMax) throw error;
    }
  }
}

/** Events of each record that is not settled, by its id: a copy and its original are the same. */
async function unsettledNow(folder: string, wanted: RecordKind): Promise<ReadonlyMap<number, number>> {
  const found = new Map<number, number>();
  const settled = new Set<number>();
  for (const segment of segmentNumbers(await namesIn(folder))) {
    const handle = await open(join(folder, nameOf(segment)), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const file = storageFile(handle);
      for (const { head } of (await scanSegment(file, segment, await file.size())).records) {
        const { kind, json } = contentOf(head);
        if (kind !== wanted) continue;
        const { id, events = 1 }: { id: number; events?: number } = JSON.parse(json);
        if (head.isMarked) settled.add(id);
        else found.set(id, events);
      }
    } finally {
      await handle.close();
    }
  }
  for (const id of settled) found.delete(id);
  return found;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
