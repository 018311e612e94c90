import { GatehouseError, type Problem } from '../../base/errors.ts';
import { keysError } from '../../keys/errors.ts';

/** Generations that do not open, while others do: one that is lost must not hold up the rest. */
export interface GenerationsLeft {
  /** What `open` gives; undefined, and noted, where it is refused. */
  unlessRefused<T>(generation: number, open: () => Promise<T>): Promise<T | undefined>;
  /** Says, once all else is done, which were left. @throws MASTER_KEY_GENERATIONS_LEFT */
  requireNone(done: readonly number[]): void;
}

export function generationsLeft(): GenerationsLeft {
  const problems: Problem[] = [];
  return {
    async unlessRefused(generation, open) {
      try {
        return await open();
      } catch (error) {
        // What is worth a retry is of KMS or the network, and of no generation.
        if (!(error instanceof GatehouseError) || error.row.retry) throw error;
        problems.push({ path: `generation ${generation}`, message: `${error.row.summary} (${error.code})` });
        return undefined;
      }
    },
    requireNone(done) {
      if (problems.length > 0)
        throw keysError('MASTER_KEY_GENERATIONS_LEFT', { done: done.map(String), problems });
    },
  };
}
