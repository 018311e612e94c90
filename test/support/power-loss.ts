import type { LogEvent } from '../../src/base/log-events.ts';
import { eventsOf } from '../../src/events/batch.ts';
import { whenNeeded } from '../../src/events/spool/when-needed.ts';
import { batchOf } from '../../src/events/spool.contract.ts';
import type { Spool } from '../../src/events/spool.ts';
import type { fakeClock } from './fake-clock.ts';
import { killed, type MemoryFolders, memoryFolders, spoolFixture } from './spool-fixture.ts';
import type { SpoolMode } from './spool-modes.ts';

/** What a schedule of work, kills and power losses came to. */
export interface Outcome {
  readonly losses: number;
  readonly appends: number;
  readonly recovered: number;
  /** What must not be, in words; empty where all is well. */
  readonly faults: readonly string[];
}

interface Dice {
  next(): number;
  between(from: number, to: number): number;
}

/** What the world outside the spool knows: sources, and the sink. */
interface World {
  /** By item: the next number to append, and the one up to which appends were acknowledged. */
  readonly items: Map<string, { next: number; acknowledged: number }>;
  /** Numbers, by item, that the sink had taken before they were settled. */
  readonly taken: Map<string, Set<number>>;
  /** Numbers of the pushed item whose append was answered. */
  readonly answered: Set<number>;
  appends: number;
}

/** Of files and journals; and one of a source that cannot be read again, and answers for what is durable. */
const itemNames = ['1', '2', '3'];
const pushed = 'pushed';
const allItems = [...itemNames, pushed];
const lossesMax = 4;
/** The calls of a life are few enough for each of them to be the last now and then. */
const callsMax = 60;

/**
 * Lets sources append numbered batches, each with the position behind it, and a sink settle them, through several power
 * losses at any call to the disk; after each, what the disk may legally hold is opened again and sources go on from the
 * positions in it. Nothing may be behind a position that is neither in the spool nor was taken by the sink.
 */
export async function powerLosses(dice: Dice, mode: SpoolMode = 'always'): Promise<Outcome> {
  const {
    open: openDisk,
    events,
    named,
    keeper,
    clock,
    log,
  } = spoolFixture({
    segmentBytes: dice.between(500, 20_000),
    deadLetterBytesMax: 4000,
  });
  await keeper.fresh();
  const open = async (of: MemoryFolders): Promise<Spool> => {
    const spool = await openDisk(of);
    if (mode === 'always') return spool;
    return whenNeeded(spool, { limits: { heldBytesMax: dice.between(500, 8_000) }, clock, log });
  };
  let folders = memoryFolders();
  const world: World = {
    items: new Map(allItems.map((name) => [name, { next: 0, acknowledged: 0 }])),
    taken: new Map(allItems.map((name) => [name, new Set()])),
    answered: new Set(),
    appends: 0,
  };
  const faults: string[] = [];
  // Of this schedule alone: whoever was killed while he waited would be kept by one that all share.
  const { signal: never } = new AbortController();
  let recovered = 0;
  const losses = dice.between(1, lossesMax + 1);
  for (let loss = 0; loss < losses; loss += 1) {
    const unplugged = plug(folders, dice.between(1, callsMax));
    const life = (async () => {
      const spool = await open(folders);
      recovered += spool.counts().batches;
      faults.push(...(await faultsOf(spool, world, events, mode, never)));
      await work(spool, world, dice, never);
    })();
    const over = new AbortController();
    void passTime(clock, over.signal);
    // A life that ends by itself ends with a power loss too.
    await Promise.race([life, unplugged]);
    over.abort();
    folders = dice.next() < 0.3 ? killed(folders) : afterLoss(folders, () => dice.next());
  }
  const spool = await open(folders);
  faults.push(...(await faultsOf(spool, world, events, mode, never)));
  await spool.close();
  for (const name of ['events.spool-damaged', 'events.batches-lost', 'events.positions-lost']) {
    if (named(name).length > 0) faults.push(`${name} though nothing was damaged`);
  }
  return { losses, appends: world.appends, recovered: recovered + spool.counts().batches, faults };
}

/** For whoever waits until something is late. */
async function passTime(clock: ReturnType<typeof fakeClock>, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await clock.advance(100);
    await new Promise(setImmediate);
  }
}

/** Resolves at the n-th call to the disk that changes something, which is not done. */
function plug(folders: MemoryFolders, calls: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = calls;
  for (const storage of Object.values(folders)) {
    storage.onCall = async (call: string) => {
      if (['list', 'open', 'read'].includes(call)) return;
      left -= 1;
      if (left > 0) return;
      resolve();
      await new Promise(() => {});
    };
  }
  return promise;
}

function afterLoss({ spool, deadLetter, quarantine }: MemoryFolders, chance: () => number): MemoryFolders {
  return {
    spool: spool.unplugged(chance),
    deadLetter: deadLetter.unplugged(chance),
    quarantine: quarantine.unplugged(chance),
  };
}

function textOf(item: string, number: number): string {
  return `${item}:${number} ${'x'.repeat((number * 37) % 1500)}`;
}

async function work(spool: Spool, world: World, dice: Dice, never: AbortSignal): Promise<void> {
  for (const item of itemNames) {
    const state = world.items.get(item);
    if (state !== undefined) state.next = Number(spool.position('s').get(item) ?? 0);
  }
  const source = async (item: string): Promise<void> => {
    const state = world.items.get(item);
    if (state === undefined) return;
    for (let rounds = dice.between(1, 20); rounds > 0; rounds -= 1) {
      const number = state.next;
      const value = String(number + 1);
      const batch = batchOf({ logGroup: 'g', logStream: item }, textOf(item, number));
      // What is asked for and not answered may be there or not: it is never asked for again.
      if (item === pushed) state.next = number + 1;
      if (item === pushed) await spool.append(batch, [], never);
      else {
        const isAtRisk = dice.next() < 0.05;
        await spool.append(batch, [{ source: 's', item, value }], never, { source: 's', isAtRisk });
      }
      if (item === pushed) world.answered.add(number);
      world.appends += 1;
      state.next = number + 1;
      state.acknowledged = number + 1;
      if (dice.next() < 0.1) await spool.keep([{ source: 'n', item, value }]);
    }
  };
  const sink = async (item: string): Promise<void> => {
    for (let rounds = dice.between(0, 30); rounds > 0; rounds -= 1) {
      await new Promise(setImmediate);
      const [batch] = await spool.read({ stream: { logGroup: 'g', logStream: item }, batchesMax: 1 }, never);
      if (batch === undefined) continue;
      for (const { message } of eventsOf(batch)) world.taken.get(item)?.add(numberOf(message));
      const isRefused = dice.next() < 0.1;
      await spool.settle(batch, isRefused ? [{ reason: 'invalid', timestamp: 1, message: 'refused' }] : []);
    }
  };
  await Promise.all([...allItems.map(source), ...allItems.map(sink)]);
  if (dice.next() < 0.5) await spool.close();
}

function numberOf(message: string): number {
  return Number.parseInt(message.slice(message.indexOf(':') + 1), 10);
}

async function faultsOf(
  spool: Spool,
  world: World,
  events: readonly LogEvent[],
  mode: SpoolMode,
  never: AbortSignal,
): Promise<string[]> {
  const faults: string[] = [];
  for (const [item, { acknowledged }] of world.items) {
    const position = Number(spool.position('s').get(item) ?? 0);
    // What was only held is read again.
    if (mode === 'always' && item !== pushed && position < acknowledged)
      faults.push(`${item}: position ${position}, ${acknowledged} were acknowledged`);
    const stream = { logGroup: 'g', logStream: item };
    const batches = await spool.read({ stream, batchesMax: 100_000 }, never);
    const there = new Set<number>();
    let last = -1;
    for (const batch of batches) {
      for (const { message } of eventsOf(batch)) {
        const number = numberOf(message);
        if (message !== textOf(item, number)) faults.push(`${item}: a batch of another text`);
        // What was held may have come to the disk twice: before the crash, and read again.
        if (mode === 'always' && number <= last) faults.push(`${item}: ${number} after ${last}`);
        last = number;
        there.add(number);
      }
    }
    for (const number of item === pushed ? world.answered : Array(position).keys()) {
      if (!there.has(number) && world.taken.get(item)?.has(number) !== true) {
        faults.push(`${item}: position ${position}, and ${number} is gone`);
      }
    }
  }
  return faults.length > 0 ? [...faults, JSON.stringify(events.map(({ name }) => name))] : faults;
}
