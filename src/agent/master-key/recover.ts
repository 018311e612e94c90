import { keysError } from '../../keys/errors.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { fingerprintOf, openMasterKey, proofOf } from '../../keys/master-key.ts';
import type { RegistryEntry } from '../../keys/registry.ts';
import type { Launch } from '../launch.ts';
import { asOperator, namedUnwrapper, type Operator } from './operator.ts';
import { registryAt, wantedTable } from './publication.ts';

export interface Recovered {
  readonly table: string;
  /** Generations that are on this host now; the last one seals. */
  readonly generations: readonly number[];
}

/**
 * Gives a host that lost its state directory its master key back, from the copies in the registry. Each is opened before
 * it is kept.
 * @throws MASTER_KEY_EXISTS, REGISTRY_EMPTY, REGISTRY_DISAGREES, REGISTRY_…, KEY_…, MASTER_KEY_HOST_UNNAMED
 */
export function recoverMasterKey(
  launch: Launch,
  { table: named }: { readonly table: string | undefined },
  signal: AbortSignal,
): Promise<Recovered> {
  return asOperator(launch, { isMade: true }, async (operator) => {
    const { state, agentName, host, log } = operator;
    const lock = state.lockChanges();
    try {
      if (state.wrappedGenerations().length > 0) {
        throw keysError('MASTER_KEY_EXISTS', { folder: state.folder });
      }
      const table = await wantedTable(operator, named, signal);
      const registry = registryAt(table, host);
      await registry.check(signal);
      const all = await registry.list(agentName, signal);
      const entries = all.filter(({ state: each }) => each !== 'abandoned');
      const current = entries.findLast(({ state: each }) => each === 'current');
      if (current === undefined) throw keysError('REGISTRY_EMPTY', { table, agent: agentName });

      for (const entry of entries) await restored(operator, entry, signal);
      // The one that was in use comes last: whatever else there is was retired before it, or had not begun.
      for (const entry of [...entries.filter((each) => each !== current), current]) {
        const masterKey = await operator.keys.open(entry.generation, signal);
        const now = host.launch.clock.now();
        const proof = proofOf(masterKey, now);
        state.ledger.adopt({ number: entry.generation, createdAt: entry.changedAt, proof });
      }
      const seen = await registry.seen(agentName, signal);
      state.ledger.met(new Map([...seen].map(([name, { version }]) => [name, version] as const)), new Map());
      state.ledger.bindTable(table);
      const generations = state.wrappedGenerations();
      log(keysEvent('master-key.recovered', { table, generation: current.generation }));
      return { table, generations };
    } finally {
      lock.release();
    }
  });
}

/** Keeps a copy, once it was opened as what the registry says it is. */
async function restored(
  { agentName, kmsFor, state }: Operator,
  { generation, wrapped, fingerprint }: RegistryEntry,
  signal: AbortSignal,
): Promise<void> {
  const wanted = { agentName, generation };
  const masterKey = await openMasterKey(wrapped, wanted, namedUnwrapper(kmsFor), signal);
  const isRight = fingerprintOf(masterKey) === fingerprint;
  masterKey.key.dispose();
  if (!isRight) throw keysError('REGISTRY_DISAGREES', { agent: agentName, generation });
  await state.writeWrapped(generation, wrapped, { overwrite: false });
}
