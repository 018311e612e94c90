import type { Clock } from '../../base/clock.ts';
import { GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Batch } from '../batch.ts';
import { holdBody } from '../body-memory.ts';
import { eventsEvent } from '../log-events.ts';
import {
  type ReadLimits,
  type RefusedEvent,
  type SourcePosition,
  type Spool,
  type SpooledBatch,
  streamKey,
} from '../spool.ts';
import { heldBatches } from './held-batches.ts';
import { spooledIds } from './spooled-ids.ts';

export interface WhenNeededOptions {
  readonly limits?: Partial<WhenNeededLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface WhenNeededLimits {
  /** Bodies held in memory. A source with more to say waits, as for a disk that is slow. */
  readonly heldBytesMax: number;
  /** What was not acknowledged for so long is spooled. */
  readonly lateAfterMs: number;
  /** How long the end waits for a disk. What it does not take by then is read again at the next start. */
  readonly closeMsMax: number;
}

export const whenNeededLimits: WhenNeededLimits = {
  heldBytesMax: 6 * 2 ** 20,
  lateAfterMs: 2_000,
  closeMsMax: 5_000,
};

/** A batch in memory, or positions that moved by themselves, where it says `isDone`. */
interface Held {
  readonly lane: Lane;
  readonly batch: SpooledBatch | undefined;
  readonly positions: readonly SourcePosition[];
  readonly sinceMs: number;
  /** Acknowledged, or durable. */
  isDone: boolean;
  /** Somebody has it to send it, and will settle it under the id that it has here. */
  isRead: boolean;
  /** Its append, while that is under way, which may wait for room. */
  spooling: { readonly stop: AbortController; readonly done: Promise<unknown> } | undefined;
  /** While what was refused of it goes to the dead letter. Never rejects. */
  refusing: Promise<unknown> | undefined;
}

/** What is held of one source, in the order in which it was read, whatever stream it goes to. */
interface Lane {
  readonly queue: Held[];
  /** Of what left the queue and is not in the spool's positions yet, by item. */
  readonly pending: Map<string, SourcePosition>;
  /** What is done for it, one after the other, so that no position moves back. */
  turn: Promise<void>;
  isCommitting: boolean;
  isSpoolingLate: boolean;
}

/**
 * A spool that keeps batches in memory as long as they are acknowledged promptly, where their source can read them
 * again. Then a position moves on the acknowledgement; the disk gets only what is late, at risk, or left at the end.
 * **A position is never ahead of what is acknowledged or durable**: those of a source move in the order of its reading,
 * when all that was read before is one of the two.
 *
 * What that gives up: what was read and not acknowledged, at most `lateAfterMs` old, where the agent is killed *and* its
 * file is gone before the next start.
 */
export function whenNeeded(
  { appendFirst: _appendFirst, ...spool }: Spool,
  { limits: given, clock, log }: WhenNeededOptions,
): Spool {
  const limits = { ...whenNeededLimits, ...given };
  const lanes = new Map<string, Lane>();
  /** Those that are acknowledged or spooled are not there any more. */
  const held = heldBatches<Held>(limits.heldBytesMax, clock);
  const spooled = spooledIds();
  /** How many went from here to the spool. */
  let wentToDisk = 0;
  const stop = new AbortController();
  let isWatching = false;
  let isFailing = false;

  function laneOf(source: string): Lane {
    const lane = lanes.get(source) ?? {
      queue: [],
      pending: new Map<string, SourcePosition>(),
      turn: Promise.resolve(),
      isCommitting: false,
      isSpoolingLate: false,
    };
    lanes.set(source, lane);
    return lane;
  }

  function inTurn<T>(lane: Lane, work: () => Promise<T>): Promise<T> {
    const turn = lane.turn.then(work);
    lane.turn = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  function isBehind({ stream }: Batch): boolean {
    const key = streamKey(stream);
    return spool.streams().some((other) => streamKey(other) === key);
  }

  /** Holds the batch once there is room: its id. Undefined when the disk is to have it. */
  async function heldInTime(
    lane: Lane,
    batch: Batch,
    positions: readonly SourcePosition[],
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const isUnwanted = (): boolean => stop.signal.aborted || isBehind(batch);
    const about = (spooledBatch: SpooledBatch): Held => {
      const entry = heldNow(lane, spooledBatch, positions, clock.monotonic());
      lane.queue.push(entry);
      return entry;
    };
    const one = await held.inTime(batch, about, isUnwanted, signal);
    if (one !== undefined && !isWatching) void watch();
    return one?.batch.id;
  }

  /** Takes what is done off the head; its positions wait for the next step. */
  function passDone({ queue, pending }: Lane): void {
    while (queue[0]?.isDone === true) {
      for (const position of queue.shift()?.positions ?? []) pending.set(position.item, position);
    }
  }

  /** Makes the positions durable up to what is neither acknowledged nor spooled. In turn. */
  async function commit(lane: Lane): Promise<void> {
    passDone(lane);
    if (lane.pending.size === 0) return;
    await spool.keep([...lane.pending.values()]);
    lane.pending.clear();
    worked();
  }

  /** Puts one that is held into the spool, and then holds it no more. False where it was taken from it while it waited. */
  async function toDisk(
    entry: Held,
    batch: SpooledBatch,
    positions: readonly SourcePosition[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const own = new AbortController();
    const append = async (): Promise<void> => {
      try {
        const id = await spool.append(batch, positions, AbortSignal.any([signal, own.signal]));
        if (entry.isRead) spooled.went(batch.id, id);
        entry.isDone = true;
        wentToDisk += 1;
        held.letGo(batch);
      } finally {
        entry.spooling = undefined;
      }
    };
    const done = append();
    entry.spooling = { stop: own, done: done.catch(() => undefined) };
    try {
      await done;
      worked();
      return true;
    } catch (error) {
      if (own.signal.aborted) return false;
      throw error;
    }
  }

  /** Puts what is held into the spool, from the head on, as long as `isWanted`. In turn. */
  async function spoolHeld(
    lane: Lane,
    isWanted: (entry: Held) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      passDone(lane);
      const [entry] = lane.queue;
      if (entry?.batch === undefined) return;
      if (entry.refusing !== undefined) {
        // No position of what was read after it may become durable first.
        await entry.refusing;
        continue;
      }
      if (!isWanted(entry)) return;
      const moved = [...lane.pending.values(), ...entry.positions];
      if (await toDisk(entry, entry.batch, moved, signal)) {
        lane.pending.clear();
        lane.queue.shift();
      }
    }
  }

  async function spoolAll(signal: AbortSignal): Promise<void> {
    const all = [...lanes.values()].map((lane) =>
      inTurn(lane, async () => {
        await spoolHeld(lane, () => true, signal);
        await commit(lane);
      }),
    );
    await Promise.all(all);
  }

  function commitSoon(lane: Lane): void {
    if (lane.isCommitting) return;
    lane.isCommitting = true;
    void inTurn(lane, async () => {
      lane.isCommitting = false;
      await told(() => commit(lane));
    });
  }

  /** Once at a time: its turn may be long in coming. */
  function spoolSoon(lane: Lane, isWanted: (entry: Held) => boolean): void {
    if (lane.isSpoolingLate) return;
    lane.isSpoolingLate = true;
    void inTurn(lane, async () => {
      await told(() => spoolHeld(lane, isWanted, stop.signal));
      lane.isSpoolingLate = false;
    });
  }

  /** The disk took something. */
  function worked(): void {
    if (isFailing) log(eventsEvent('events.spool-recovered', {}));
    isFailing = false;
  }

  /** What the disk does not do is tried again by `watch`; it is said when it begins, and by `worked` when it ends. */
  async function told(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (stop.signal.aborted) return;
      if (!(error instanceof GatehouseError)) throw error;
      if (!isFailing) log(eventsEvent('events.spool-failed', { error: reportOf(error) }));
      isFailing = true;
    }
  }

  /** Spools what is late, and tries again what failed, as long as anything is held. */
  async function watch(): Promise<void> {
    isWatching = true;
    while (!stop.signal.aborted && [...lanes.values()].some(isBusy)) {
      await clock.sleep(limits.lateAfterMs / 4, stop.signal).catch(() => undefined);
      const lateSinceMs = clock.monotonic() - limits.lateAfterMs;
      for (const lane of lanes.values()) {
        const isLate = ({ sinceMs }: Held): boolean => sinceMs <= lateSinceMs;
        const [head] = lane.queue;
        if (head !== undefined && isLate(head)) spoolSoon(lane, isLate);
        commitSoon(lane);
      }
    }
    isWatching = false;
    // Nothing is asked of the disk any more that it did not do.
    if (!stop.signal.aborted) worked();
  }

  function isBusy({ queue, pending }: Lane): boolean {
    return queue.length > 0 || pending.size > 0;
  }

  /** A batch that is not to be held, behind what is held of its source. */
  function appendBehind(
    lane: Lane,
    batch: Batch,
    positions: readonly SourcePosition[],
    signal: AbortSignal,
  ): Promise<number> {
    return inTurn(lane, async () => {
      await spoolHeld(lane, () => true, signal);
      const id = await spool.append(batch, [...lane.pending.values(), ...positions], signal);
      lane.pending.clear();
      worked();
      return id;
    });
  }

  async function settleHeld(batch: SpooledBatch, refused: readonly RefusedEvent[]): Promise<boolean> {
    const found = held.get(batch.id);
    if (found === undefined) return settleSpooled(batch, refused);
    const { entry } = found;
    entry.isRead = true;
    if (entry.refusing !== undefined) {
      await entry.refusing;
      return settleHeld(batch, refused);
    }
    if (refused.length > 0) {
      const isHere = refuseHeld(entry, found.batch, refused);
      entry.refusing = isHere.catch(() => undefined);
      if (!(await isHere)) return settleSpooled(batch, refused);
    } else {
      entry.isDone = true;
      // Its memory is used again by whoever settles it, so nobody may read it any more.
      await stopSpooling(entry);
      if (!held.has(batch.id)) return settleSpooled(batch, refused);
      held.letGo(found.batch);
    }
    commitSoon(entry.lane);
    return true;
  }

  /**
   * From memory to the dead letter, not by way of the spool: that may be full of what only this stream's sender can
   * remove, who waits for this. False where it was spooled meanwhile.
   */
  async function refuseHeld(
    entry: Held,
    batch: SpooledBatch,
    refused: readonly RefusedEvent[],
  ): Promise<boolean> {
    try {
      await stopSpooling(entry);
      if (!held.has(batch.id)) return false;
      await spool.refuse(batch, refused);
      worked();
      entry.isDone = true;
      held.letGo(batch);
      return true;
    } finally {
      entry.refusing = undefined;
    }
  }

  /** An append that waits for room ends without it; one that is being written ends as it does. */
  async function stopSpooling({ spooling }: Held): Promise<void> {
    spooling?.stop.abort(stopped());
    await spooling?.done;
  }

  /** Its id there is known until it is gone: a disk that does not do it is asked again. */
  async function settleSpooled(batch: SpooledBatch, refused: readonly RefusedEvent[]): Promise<boolean> {
    const id = spooled.of(batch.id);
    const isRemoved = await spool.settle({ ...batch, id }, refused);
    spooled.settled(id);
    return isRemoved;
  }

  async function read(readLimits: ReadLimits, signal: AbortSignal): Promise<readonly SpooledBatch[]> {
    const wentBefore = wentToDisk;
    const { stream, batchesMax, except } = readLimits;
    const there = await spool.read(
      { ...readLimits, except: except && new Set([...except].map((id) => spooled.of(id))) },
      signal,
    );
    // What went there meanwhile may be missing in it, and what is held still is newer.
    if (wentToDisk !== wentBefore) return there.length > 0 ? there : read(readLimits, signal);
    const more: SpooledBatch[] = [];
    for (const { entry, batch } of held.ofStream(streamKey(stream))) {
      if (there.length + more.length >= batchesMax) break;
      if (entry.isDone || except?.has(batch.id) === true) continue;
      entry.isRead = true;
      holdBody(batch.body);
      more.push(batch);
    }
    return [...there, ...more];
  }

  return {
    ...spool,

    async append(batch, positions, signal, from) {
      if (from === undefined) {
        const busy = positions.map(({ source }) => lanes.get(source)).find((lane) => lane && isBusy(lane));
        // Its positions must not become durable before those of what was read earlier.
        return busy ? appendBehind(busy, batch, positions, signal) : spool.append(batch, positions, signal);
      }
      const lane = laneOf(from.source);
      const id = from.isAtRisk ? undefined : await heldInTime(lane, batch, positions, signal);
      return id ?? appendBehind(lane, batch, positions, signal);
    },

    async keep(positions) {
      const direct: SourcePosition[] = [];
      for (const position of positions) {
        const lane = lanes.get(position.source);
        if (lane === undefined || !isBusy(lane)) direct.push(position);
        else {
          lane.queue.push({ ...heldNow(lane, undefined, [position], clock.monotonic()), isDone: true });
          commitSoon(lane);
        }
      }
      if (direct.length > 0) await spool.keep(direct);
    },

    read,
    settle: settleHeld,

    streams() {
      const streams = new Map(spool.streams().map((stream) => [streamKey(stream), stream]));
      for (const { entry, batch } of held.all()) {
        if (!entry.isDone) streams.set(streamKey(batch.stream), batch.stream);
      }
      return [...streams.values()];
    },

    counts() {
      const counts = spool.counts();
      return {
        ...counts,
        batches: counts.batches + held.size,
        bytes: counts.bytes + held.bytes,
        isFailing: isFailing || counts.isFailing,
      };
    },

    async close() {
      stop.abort(stopped());
      held.changed();
      const { signal } = new AbortController();
      // What finds no room is where it was: in files and journals, behind the positions that are kept.
      await clock.deadline(limits.closeMsMax, 'close', signal, spoolAll).catch(() => undefined);
      await spool.close();
    },
  };
}

function heldNow(
  lane: Lane,
  batch: SpooledBatch | undefined,
  positions: readonly SourcePosition[],
  sinceMs: number,
): Held {
  return {
    lane,
    batch,
    positions,
    sinceMs,
    isDone: false,
    isRead: false,
    spooling: undefined,
    refusing: undefined,
  };
}

function stopped(): Error {
  return new Error('no longer wanted');
}
