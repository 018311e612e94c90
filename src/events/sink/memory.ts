import { type Batch, eventsOf } from '../batch.ts';
import type { Sink } from '../sink.ts';
import type { RefusedEvent } from '../spool.ts';

export interface MemorySink extends Sink {
  /** Every batch that was sent, also those whose answer is an error. */
  readonly batches: Batch[];
  messages(logStream?: string): string[];
  /** Decides each send: throws, waits, or gives what is refused. */
  onSend: (batch: Batch, signal: AbortSignal) => Promise<readonly RefusedEvent[]> | readonly RefusedEvent[];
}

/** A sink that keeps what it gets: for tests of what stands on the port. */
export function memorySink(): MemorySink {
  const taken: Batch[] = [];
  const sink: MemorySink = {
    batches: [],
    onSend: () => [],
    messages: (logStream) =>
      taken
        .filter(({ stream }) => logStream === undefined || stream.logStream === logStream)
        .flatMap((batch) => eventsOf(batch).map(({ message }) => message)),
    async send(batch, signal) {
      signal.throwIfAborted();
      // Whoever sends may use the memory again.
      const kept = { ...batch, body: Buffer.from(batch.body) };
      sink.batches.push(kept);
      const refused = await sink.onSend(kept, signal);
      taken.push(kept);
      return refused;
    },
  };
  return sink;
}
