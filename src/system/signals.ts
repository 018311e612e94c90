import { on } from 'node:events';
import { constants } from 'node:os';

const stopping = ['SIGTERM', 'SIGINT'] as const;

/** Why work was cancelled: somebody asked the process to stop. */
export class StopRequested extends Error {
  override readonly name = 'StopRequested';
}

/**
 * A signal that aborts, with StopRequested, at the first SIGTERM or SIGINT. The second one ends the process at once,
 * which is safe because nothing that matters is only in memory.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of stopping) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name]);
      controller.abort(new StopRequested(name));
    });
  }
  return controller.signal;
}

/** One item for each SIGHUP from this call on, which would otherwise end the process. Ends when `signal` aborts. */
export function hangUps(signal: AbortSignal): AsyncIterable<void> {
  if (signal.aborted) return none();
  // Not in the generator, whose body runs only once it is asked for its first item.
  return each(on(process, 'SIGHUP', { signal }), signal);
}

async function* none(): AsyncGenerator<void, void, void> {}

async function* each(
  received: AsyncIterable<unknown>,
  signal: AbortSignal,
): AsyncGenerator<void, void, void> {
  try {
    for await (const _ of received) yield;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
