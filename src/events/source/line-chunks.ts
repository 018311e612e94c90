import type { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Chunk } from '../event-source.ts';
import type { LineCutter } from './line-cutter.ts';

export interface LineChunksOptions {
  readonly stream: Readable;
  readonly cutter: LineCutter;
  /** The path for `{file}`. */
  readonly file: string | undefined;
  readonly clock: Clock;
}

/** How long a last line waits for its end before it is shipped without. */
const partialLineMs = 5_000;

/** The lines of a stream, to its end. Abort does not end it: whoever stops reading ends the stream. */
export async function* lineChunks(
  { stream, cutter, file, clock }: LineChunksOptions,
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  const pieces = stream[Symbol.asyncIterator]();
  let pending: Promise<IteratorResult<Buffer>> | undefined;
  for (;;) {
    pending ??= pieces.next().catch((): IteratorResult<Buffer> => ({ done: true, value: undefined }));
    const next = cutter.heldBytes === 0 ? await pending : await inTime(pending, clock, signal);
    if (next !== undefined) pending = undefined;
    const isOver = next === undefined || next.done === true;
    for (const taken of isOver ? cutter.end() : cutter.push(next.value)) {
      yield { ...taken, timeMs: clock.now().getTime(), positions: [], file };
    }
    if (next?.done === true) return;
  }
}

/** Undefined when nothing came in time. */
async function inTime<T>(next: Promise<T>, clock: Clock, signal: AbortSignal): Promise<T | undefined> {
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const late = clock.sleep(partialLineMs, either).then(
    () => undefined,
    () => next,
  );
  try {
    return await Promise.race([next, late]);
  } finally {
    done.abort();
  }
}
