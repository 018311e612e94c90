import { agentError } from '../agent/errors.ts';
import type { Invocation } from './command.ts';

/** Standard output under watch: what cannot be written there is an error of the command. */
export interface WatchedOutput {
  /**
   * Waits until everything was handed over. A reader that has gone away (`| head -1`) has what it wanted.
   * @throws OUTPUT_UNWRITABLE
   */
  flushed(): Promise<void>;
}

/** Begins to watch. */
export function watchOutput({ stdout }: Pick<Invocation, 'stdout'>): WatchedOutput {
  let failure: NodeJS.ErrnoException | undefined;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= error;
  });

  return {
    async flushed() {
      await new Promise<void>((resolve) => {
        if (stdout.destroyed) resolve();
        else stdout.write('', () => resolve());
      });
      if (failure === undefined || failure.code === 'EPIPE') return;
      throw agentError('OUTPUT_UNWRITABLE', {}, failure);
    },
  };
}

/** Whoever reads stderr may go away too: then there is nobody left to tell. */
export function unminded(stderr: NodeJS.WriteStream): NodeJS.WriteStream {
  if (stderr.listenerCount('error') === 0) stderr.on('error', () => undefined);
  return stderr;
}
