import { returnBody } from '../body-memory.ts';
import type { SpooledBatch } from '../spool.ts';

/** A batch leaves the spool in one way: it is sent, or taken out unsent. */
export interface Departures {
  /** Ids of those that are being sent, until they are settled or the try has failed. */
  readonly sending: ReadonlySet<number>;
  /** What `read` finds, to be sent until `end`; undefined where it finds none. Waits for one that is being taken out. */
  begin(read: () => Promise<SpooledBatch | undefined>): Promise<SpooledBatch | undefined>;
  end(batch: SpooledBatch): void;
  /** Whether `settle` has removed it. It is not asked to where somebody else is sending it or taking it out. */
  takeOut(batch: SpooledBatch, settle: () => Promise<boolean>): Promise<boolean>;
}

export function departures(): Departures {
  const sending = new Set<number>();
  const leaving = new Map<number, Promise<unknown>>();

  /** Resolves when it is over, well or badly; undefined where nobody takes it out. */
  function left({ id }: SpooledBatch): Promise<unknown> | undefined {
    return leaving.get(id)?.catch(() => undefined);
  }

  return {
    sending,

    async begin(read) {
      for (;;) {
        const batch = await read();
        if (batch === undefined) return undefined;
        const elsewhere = left(batch);
        if (elsewhere === undefined) {
          sending.add(batch.id);
          return batch;
        }
        returnBody(batch.body);
        await elsewhere;
      }
    },

    end: ({ id }) => void sending.delete(id),

    async takeOut(batch, settle) {
      const { id } = batch;
      const elsewhere = left(batch);
      if (elsewhere !== undefined) await elsewhere;
      if (elsewhere !== undefined || sending.has(id)) return false;
      const settled = settle();
      leaving.set(id, settled);
      try {
        return await settled;
      } finally {
        leaving.delete(id);
      }
    },
  };
}
