import type { Sink } from '../sink.ts';

/** A sink of its own for each role, made when the first batch goes there: what one is denied holds no other up. */
export function sinkByRole(make: (roleOf: string | undefined) => Sink): Sink {
  const made = new Map<string | undefined, Sink>();
  return {
    send(batch, signal) {
      const { roleOf } = batch.stream;
      const sink = made.get(roleOf) ?? make(roleOf);
      made.set(roleOf, sink);
      return sink.send(batch, signal);
    },
  };
}
