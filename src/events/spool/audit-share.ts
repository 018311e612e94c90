import type { Log } from '../../base/log-events.ts';
import { eventsEvent } from '../log-events.ts';
import type { SourcePosition, Spool } from '../spool.ts';
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
/** Room again is said when this part is free: at the brim it would be said for each batch. */
const relievedShare = 0.5;

/** Bytes of a spool of this size that are kept for audit. */
export function auditShareBytes(bytesMax: number): number {
  return Math.min(Math.floor(bytesMax / 8), auditBytesMax);
}

/** A spool in which other batches wait, in their order, while no more than the share of audit is free. */
export function withAuditShare(spool: Spool, { isAudit, onDurable, log }: AuditShareOptions): Spool {
  const { bytesMax } = spool.counts();
  const othersMax = bytesMax - auditShareBytes(bytesMax);
  const settled = wake();
  let isFull = false;
  let last = Promise.resolve();

  const hasRoom = (wanted: number): boolean => {
    const { bytes } = spool.counts();
    return bytes === 0 || bytes + wanted <= othersMax;
  };

  async function room(wanted: number, signal: AbortSignal): Promise<void> {
    while (!hasRoom(wanted)) {
      if (!isFull)
        log(eventsEvent('events.spool-full', { bytes: spool.counts().bytes, bytesMax: othersMax }));
      isFull = true;
      await settled.rung(signal);
      signal.throwIfAborted();
    }
  }

  async function appendWithRoom(...[batch, positions, signal]: Parameters<Spool['append']>): Promise<number> {
    signal.throwIfAborted();
    await room(spool.sizeOf(batch), signal);
    return spool.append(batch, positions, signal);
  }

  function noteRelief(): void {
    const { bytes } = spool.counts();
    if (!isFull || bytes > othersMax * relievedShare) return;
    isFull = false;
    log(eventsEvent('events.spool-relieved', { bytes }));
  }

  return {
    ...spool,
    async append(batch, positions, signal) {
      const append = async (): Promise<number> => {
        if (isAudit(positions)) return spool.append(batch, positions, signal);
        const turn = last.then(() => appendWithRoom(batch, positions, signal));
        last = turn.then(
          () => undefined,
          () => undefined,
        );
        return turn;
      };
      const id = await append();
      onDurable(positions);
      return id;
    },

    async settle(batch, refused) {
      const isRemoved = await spool.settle(batch, refused);
      settled.ring();
      noteRelief();
      return isRemoved;
    },
  };
}
