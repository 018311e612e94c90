import type { Batch } from '../batch.ts';
import type { Sink } from '../sink.ts';

/** A sink of its own for each role, made when the first batch goes there: what one is denied holds no other up. */
export function sinkByRole(make: (roleOf: string | undefined) => Sink): Sink {
  const made = new Map<string | undefined, Sink>();

  function sinkOf({ stream: { roleOf } }: Batch): Sink {
    const sink = made.get(roleOf) ?? make(roleOf);
    made.set(roleOf, sink);
    return sink;
  }

  return {
    prepare: (batch) => sinkOf(batch).prepare?.(batch),
    send: (batch, signal) => sinkOf(batch).send(batch, signal),
  };
}
