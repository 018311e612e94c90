import { expect, test } from 'vitest';
import { type Dice, diceOf } from '../../../test/support/dice.ts';
import { failure } from '../../../test/support/memory-storage.ts';
import {
  killed,
  type MemoryFolders,
  memoryFolders,
  spoolFixture,
} from '../../../test/support/spool-fixture.ts';
import { eventsOf } from '../batch.ts';
import { batchOf } from '../spool.contract.ts';
import type { Spool } from '../spool.ts';
import { whenNeeded } from './when-needed.ts';

const schedules = 30;
const livesMax = 4;
/** Faults last so long at most, and what is left then takes so long. */
const mendedAfterMs = 60_000;
const drainedWithinMs = 30 * 60_000;
const itemsOf: Readonly<Record<string, readonly string[]>> = { a: ['1', '2'], b: ['3'], c: ['4'] };
const items = Object.values(itemsOf).flat();

/** What sources and sink know, whatever becomes of the agent. */
interface Model {
  /** By item: what comes next, and what the sink took. */
  readonly next: Map<string, number>;
  readonly taken: Map<string, Set<number>>;
  readonly faults: string[];
}

/** Counts that show that a schedule had in it what it is for. */
interface Seen {
  late: number;
  failed: number;
  full: number;
  kills: number;
}

const stream = (name: string) => ({ logGroup: 'g', logStream: name });
const textOf = (item: string, number: number): string =>
  `${item}:${number} ${'x'.repeat((number * 91) % 700)}`;

function idOf(message: string): { readonly item: string; readonly number: number } {
  const [item = '', number = ''] = message.slice(0, message.indexOf(' ')).split(':');
  return { item, number: Number(number) };
}

/**
 * One life of an agent: sources append, each stream in its order, senders take one or several batches at a time,
 * settle them and have some refused, while disk, dead letter and endpoint fail and mend. Ends killed, or drained.
 */
async function live(
  { clock, log, named, open }: ReturnType<typeof spoolFixture>,
  folders: MemoryFolders,
  dice: Dice,
  model: Model,
  seen: Seen,
  isLast: boolean,
): Promise<MemoryFolders> {
  const kept = await open(folders, {
    segmentBytes: dice.between(2_000, 20_000),
    bytesMax: dice.between(12_000, 60_000),
  });
  const spool: Spool = whenNeeded(kept, {
    limits: { heldBytesMax: dice.between(1_000, 10_000) },
    clock,
    log,
  });
  const over = new AbortController();
  const sky = { isMended: false, slowMs: 0 };

  for (const item of items) model.next.set(item, Number(spool.position('s').get(item) ?? 0));

  /** As the pipeline does: again, until it is done. */
  async function untilDone<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch {
        seen.failed += 1;
        await clock.sleep(dice.between(50, 900), over.signal);
      }
    }
  }

  async function produce(name: string): Promise<void> {
    const own = itemsOf[name] ?? [];
    for (let left = dice.between(5, 40); left > 0 && !over.signal.aborted; left -= 1) {
      const item = own[dice.between(0, own.length)] ?? '';
      const number = model.next.get(item) ?? 0;
      const positions = [{ source: 's', item, value: String(number + 1) }];
      const isAtRisk = dice.next() < 0.1;
      await untilDone(() =>
        spool.append(batchOf(stream(name), textOf(item, number)), positions, over.signal, {
          source: 's',
          isAtRisk,
        }),
      );
      model.next.set(item, number + 1);
      if (dice.next() < 0.3) await clock.sleep(dice.between(1, 700), over.signal);
    }
  }

  async function send(name: string): Promise<void> {
    const last = new Map<string, number>();
    while (!over.signal.aborted) {
      const batches = await untilDone(() =>
        spool.read({ stream: stream(name), batchesMax: dice.between(1, 4) }, over.signal),
      );
      if (batches.length === 0) await clock.sleep(50, over.signal);
      for (const batch of batches) {
        await clock.sleep(dice.between(1, 60) + sky.slowMs, over.signal);
        const [event] = eventsOf(batch);
        const { item, number } = idOf(event?.message ?? '');
        if (event?.message !== textOf(item, number)) model.faults.push(`${item}: ${number} has another text`);
        if (number <= (last.get(item) ?? -1)) model.faults.push(`${item}: ${number} after ${last.get(item)}`);
        last.set(item, number);
        const isRefused = dice.next() < 0.15;
        const refused = isRefused && event !== undefined ? [{ ...event, reason: 'invalid' as const }] : [];
        if (!isRefused) model.taken.get(item)?.add(number);
        await untilDone(() => spool.settle(batch, refused));
      }
    }
  }

  async function weather(): Promise<void> {
    while (!sky.isMended) {
      await clock.sleep(dice.between(100, 4_000), over.signal);
      const what = dice.next();
      folders.spool.bytesMax = what < 0.3 ? bytesIn(folders) : Infinity;
      folders.deadLetter.onCall = (call) => {
        if (what > 0.25 && what < 0.5 && call === 'write') throw failure('EIO');
      };
      sky.slowMs = what > 0.45 && what < 0.75 ? 3_000 : 0;
      if (what < 0.3) seen.full += 1;
    }
  }

  let isProduced = false;
  const names = Object.keys(itemsOf);
  const senders = names.map((name) => quiet(send(name)));
  const weathers = quiet(weather());
  const producing = Promise.all(names.map((name) => quiet(produce(name)))).finally(() => {
    isProduced = true;
  });
  const killAtMs = isLast ? Infinity : clock.monotonic() + dice.between(200, 6_000);
  const isDrained = (): boolean => isProduced && sky.isMended && spool.counts().batches === 0;
  const beganMs = clock.monotonic();
  while (clock.monotonic() < killAtMs && !isDrained()) {
    if (clock.monotonic() - beganMs > drainedWithinMs) {
      model.faults.push(`not drained: ${JSON.stringify(spool.counts())}`);
      break;
    }
    await clock.advance(100);
    if (isProduced || clock.monotonic() - beganMs > mendedAfterMs) {
      sky.isMended = true;
      folders.spool.bytesMax = Infinity;
      folders.deadLetter.onCall = () => undefined;
      sky.slowMs = 0;
    }
  }
  seen.late += kept.counts().batches;
  if (!isLast && !isDrained()) {
    seen.kills += 1;
    over.abort();
    const left = killed(folders);
    await clock.advance(0);
    return left;
  }
  await clock.advance(5_000);
  if (isLast) {
    for (const item of items) {
      const [next, position] = [model.next.get(item) ?? 0, Number(spool.position('s').get(item) ?? 0)];
      if (position !== next) model.faults.push(`${item}: position ${position}, and ${next} were read`);
    }
    const letters = await Promise.all(spool.deadLetters(9_999).map(({ id }) => spool.deadLetter(id)));
    for (const letter of letters) {
      const { item, number } = idOf(letter?.message ?? '');
      model.taken.get(item)?.add(number);
    }
    if (spool.counts().isFailing) model.faults.push('it says that it fails');
    if (named('events.batches-lost').length > 0) model.faults.push('batches are lost');
  }
  over.abort();
  await Promise.all([...senders, weathers, producing]);
  const closed = spool.close();
  await clock.advance(60_000);
  await closed;
  return folders;
}

/** Whoever is stopped ends without a word. */
function quiet(work: Promise<void>): Promise<void> {
  return work.catch(() => undefined);
}

function bytesIn({ spool }: MemoryFolders): number {
  return [...spool.files.values()].reduce((sum, { length }) => sum + length, 0);
}

test(`${schedules} schedules of lateness, kills, full disks, dead letters and rotation lose nothing and keep the order`, async () => {
  const seen: Seen = { late: 0, failed: 0, full: 0, kills: 0 };
  for (let seed = 1; seed <= schedules; seed += 1) {
    const dice = diceOf(seed);
    const taken = new Map(items.map((item) => [item, new Set<number>()]));
    const model: Model = { next: new Map(), taken, faults: [] };
    const fixture = spoolFixture();
    let folders = memoryFolders();
    const lives = dice.between(1, livesMax + 1);
    for (let life = 1; life <= lives; life += 1) {
      folders = await live(fixture, folders, dice, model, seen, life === lives);
    }
    for (const item of items) {
      for (let number = 0; number < (model.next.get(item) ?? 0); number += 1) {
        if (taken.get(item)?.has(number) !== true) model.faults.push(`${item}: ${number} is lost`);
      }
    }
    expect({ seed, faults: model.faults }).toEqual({ seed, faults: [] });
  }

  expect(Object.entries(seen).filter(([, count]) => count === 0)).toEqual([]);
});
