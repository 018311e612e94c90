import type { Log } from '../../base/log-events.ts';
import { brim } from '../brim.ts';
import type { BatchToAppend, SourcePosition, Spool } from '../spool.ts';
import { wake } from '../wake.ts';

export interface AuditShareOptions {
  /** Whether a batch that comes with these positions is audit. */
  readonly isAudit: (positions: readonly SourcePosition[]) => boolean;
  /** Told of positions once they are durable with their batch. */
  readonly onDurable: (positions: readonly SourcePosition[]) => void;
  readonly log: Log;
}

/** The part of the spool that only audit may fill: one eighth, and no more than this. */
const auditBytesMax = 64 * 2 ** 20;

/** Bytes of a spool of this size that are kept for audit. */
export function auditShareBytes(bytesMax: number): number {
  return Math.min(Math.floor(bytesMax / 8), auditBytesMax);
}

/** A spool in which other batches wait, in their order, while no more than the share of audit is free. */
export function withAuditShare(spool: Spool, { isAudit, onDurable, log }: AuditShareOptions): Spool {
  const { appendFirst } = spool;
  const { bytesMax } = spool.counts();
  const othersMax = bytesMax - auditShareBytes(bytesMax);
  const settled = wake();
  const saying = brim(othersMax, log);
  /** For room. */
  let waiting = 0;
  let last = Promise.resolve();

  const hasRoom = (wanted: number): boolean => {
    const { bytes } = spool.counts();
    return bytes === 0 || bytes + wanted <= othersMax;
  };

  /** The first, for which there is room, and what fits with it. */
  function fitting(batches: readonly BatchToAppend[]): readonly BatchToAppend[] {
    let { bytes } = spool.counts();
    return batches.filter(({ batch }, index) => {
      bytes += spool.sizeOf(batch);
      return index === 0 || bytes <= othersMax;
    });
  }

  async function room(wanted: number, signal: AbortSignal): Promise<void> {
    waiting += 1;
    try {
      while (!hasRoom(wanted)) {
        saying.full(spool.counts().bytes);
        await settled.rung(signal);
        signal.throwIfAborted();
      }
    } finally {
      waiting -= 1;
    }
  }

  /**
   * In the order in which they come, and no longer: what is asked for in its turn may become durable together with what
   * follows. One that is no longer wanted ends at once, wherever it waits: those behind it still wait for those before it.
   */
  async function inTurn<T>(bytes: number, signal: AbortSignal, append: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const before = last;
    const turn = Promise.withResolvers<void>();
    last = before.then(() => turn.promise);
    try {
      await untilDoneOrAborted(before, signal);
      signal.throwIfAborted();
      await room(bytes, signal);
      const appended = append();
      turn.resolve();
      return await appended;
    } finally {
      turn.resolve();
    }
  }

  return {
    ...spool,
    async append(batch, positions, signal) {
      const append = (): Promise<number> => spool.append(batch, positions, signal);
      const id = await (isAudit(positions) ? append() : inTurn(spool.sizeOf(batch), signal, append));
      onDurable(positions);
      return id;
    },

    ...(appendFirst === undefined
      ? {}
      : {
          async appendFirst(batches, signal) {
            const [first] = batches;
            if (first === undefined) return [];
            const ids = await (isAudit(first.positions)
              ? appendFirst(batches, signal)
              : inTurn(spool.sizeOf(first.batch), signal, () => appendFirst(fitting(batches), signal)));
            for (const { positions } of batches.slice(0, ids.length)) onDurable(positions);
            return ids;
          },
        }),

    counts() {
      const counts = spool.counts();
      return { ...counts, isFull: counts.isFull || waiting > 0 };
    },

    async settle(batch, refused) {
      const isRemoved = await spool.settle(batch, refused);
      settled.ring();
      saying.left(spool.counts().bytes);
      return isRemoved;
    },
  };
}

/** Leaves nothing at `signal`, which lives longer than the wait. */
async function untilDoneOrAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = (): void => resolve();
  signal.addEventListener('abort', end, { once: true });
  void work.then(end);
  await promise;
  signal.removeEventListener('abort', end);
}
