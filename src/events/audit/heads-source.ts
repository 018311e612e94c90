import type { Clock } from '../../base/clock.ts';
import type { Chunk, EventSource } from '../event-source.ts';
import { type ChainHead, headLine } from './chain.ts';
import type { ChainedSource } from './chained-source.ts';

export interface HeadsSourceOptions {
  readonly chain: Pick<ChainedSource, 'head' | 'settled' | 'status'>;
  readonly hostId: string;
  readonly clock: Clock;
}

/** The first head of a start comes early: an agent may not live long. */
const firstLookMs = 5_000;
/** New records have their head shipped within this time. */
const lookEveryMs = 60_000;
/** A chain that does not grow ships its head this often all the same: silence then means something. */
const everyMinutes = 15;
/** What the last head waits for the last records at a stop. */
const settleMsMax = 1_000;

/** The heads of a chain, for a stream of their own. Only a head that is durable is shipped: another may still change. */
export function headsSource({ chain, hostId, clock }: HeadsSourceOptions): EventSource {
  function chunk(head: ChainHead): Chunk {
    const now = clock.now();
    const { lost } = chain.status();
    const line = headLine({ head, hostId, time: now.toISOString(), lost, everyMinutes });
    return {
      bytes: Buffer.from(`${line}\n`),
      timeMs: now.getTime(),
      // Tells the spool that this is audit; nothing is read from it again.
      positions: [{ item: 'shipped', value: String(head.sequence) }],
      file: undefined,
    };
  }

  async function settledInTime(): Promise<void> {
    const over = new AbortController();
    const late = clock.sleep(settleMsMax, over.signal).catch(() => undefined);
    await Promise.race([chain.settled(), late]);
    over.abort();
  }

  return {
    async *chunks(_from, signal) {
      let shipped: ChainHead | undefined;
      let shippedAtMs = -Infinity;
      for (let waitMs = 0; ; waitMs = shipped === undefined ? firstLookMs : lookEveryMs) {
        await clock.sleep(waitMs, signal).catch(() => undefined);
        if (signal.aborted) await settledInTime();
        const head = chain.head();
        const isNew = head !== undefined && head.hash !== shipped?.hash;
        const isDue = clock.monotonic() - shippedAtMs >= everyMinutes * 60_000;
        if (head !== undefined && (isNew || (isDue && !signal.aborted))) {
          shipped = head;
          shippedAtMs = clock.monotonic();
          yield chunk(head);
        }
        if (signal.aborted) return;
      }
    },

    counts: () => ({ lagBytes: 0, items: 1 }),
  };
}
