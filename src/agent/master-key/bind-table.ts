import { keysEvent } from '../../keys/log-events.ts';
import { fingerprintOf } from '../../keys/master-key.ts';
import type { Launch } from '../launch.ts';
import { asOperator, type Operator, openProven } from './operator.ts';
import { publishing, registryAt, wantedTable } from './publication.ts';
import { sealingGeneration } from './state.ts';

export interface BoundTable {
  readonly table: string;
  /** Generations that are in it now. */
  readonly generations: readonly number[];
}

/**
 * Binds this host to a registry: its table is checked, and every generation that is here is put into it,
 * with the highest version of each secret.
 * @throws REGISTRY_…, MASTER_KEY_ABSENT, MASTER_KEY_CHANGING, KEY_…
 */
export function bindTable(
  launch: Launch,
  { table: named }: { readonly table: string | undefined },
  signal: AbortSignal,
): Promise<BoundTable> {
  return asOperator(launch, { isMade: false }, async (operator) => {
    const { state, log } = operator;
    const lock = state.lockChanges();
    const before = state.ledger.registryTable();
    try {
      sealingGeneration(state);
      const table = await wantedTable(operator, named, signal);
      await registryAt(table, operator.host).check(signal);
      state.ledger.bindTable(table);
      try {
        const generations = await publishAll(operator, signal);
        const seen = [...state.ledger.allSeen()].map(([name, { version }]) => [name, version] as const);
        await registryAt(table, operator.host).raise(operator.agentName, new Map(seen), signal);
        log(keysEvent('master-key.bound', { table, generations: generations.length }));
        return { table, generations };
      } catch (error) {
        state.ledger.bindTable(before);
        throw error;
      }
    } finally {
      lock.release();
    }
  });
}

/** Puts every generation that this host has into the registry, as the ledger knows it. */
async function publishAll(operator: Operator, signal: AbortSignal): Promise<number[]> {
  const { state } = operator;
  return publishing(
    operator,
    async (publication) => {
      const published: number[] = [];
      for (const { number, state: generationState } of state.ledger.generations()) {
        const wrapped = await state.readWrapped(number);
        if (wrapped === undefined || generationState === 'abandoned') continue;
        const fingerprint = fingerprintOf(await openProven(operator, number, signal));
        await publication.publish({ number, state: generationState, fingerprint }, wrapped, signal);
        published.push(number);
      }
      return published;
    },
    signal,
  );
}
