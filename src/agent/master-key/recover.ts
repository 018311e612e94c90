import { keysError } from '../../keys/errors.ts';
import { parseKeyArn } from '../../keys/key-arn.ts';
import { type KmsUnwrapper, kmsUnwrapper } from '../../keys/kms-keyring.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { fingerprintOf, openMasterKey, proofOf, wrappingOf } from '../../keys/master-key.ts';
import type { RegistryEntry } from '../../keys/registry.ts';
import { callerOf } from '../kms/admin.ts';
import type { Launch } from '../launch.ts';
import { asOperator, configuredKeys, type Operator, wantedBinding } from './operator.ts';
import { registryAt, wantedTable } from './publication.ts';

export interface Recovered {
  readonly table: string;
  /** Generations that are on this host now; the last one seals. */
  readonly generations: readonly number[];
  /** Of the one that seals. */
  readonly fingerprint: string;
}

/**
 * Gives a host that lost its state directory its master key back, from the copies in the registry. Each is opened before
 * it is kept. It may stop at any instant, and goes on when it is run again.
 * @throws MASTER_KEY_EXISTS, REGISTRY_EMPTY, REGISTRY_DISAGREES, REGISTRY_…, KEY_NOT_TRUSTED, KEY_…, MASTER_KEY_HOST_UNNAMED
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
      // What is whole is told without the registry.
      const isInUse = state.ledger.registryTable() !== undefined || state.ledger.change() !== undefined;
      if (isInUse && state.wrappedGenerations().length > 0) throw exists(state);
      const table = await wantedTable(operator, named, signal);
      const registry = registryAt(table, host);
      await registry.check(signal);
      const all = await registry.list(agentName, signal);
      const entries = all.filter(({ state: each }) => each !== 'abandoned');
      const current = entries.findLast(({ state: each }) => each === 'current');
      if (current === undefined) throw keysError('REGISTRY_EMPTY', { table, agent: agentName });

      // The one that was in use is there first, and is taken into use last: were this to end between two of them, the
      // host would seal under it and none that was retired before it, or had not begun.
      const others = entries.filter((each) => each !== current);
      await requireTheSame(state, entries);
      const bindingKey = await trustedUnwrapper(operator, entries, signal);
      for (const entry of [current, ...others]) await restored(operator, entry, bindingKey, signal);
      for (const entry of [...others, current]) {
        const masterKey = await operator.keys.open(entry.generation, signal);
        const now = host.launch.clock.now();
        const proof = proofOf(masterKey, now);
        state.ledger.adopt({ number: entry.generation, createdAt: entry.changedAt, proof });
      }
      const seen = await registry.seen(agentName, signal);
      state.ledger.met(new Map([...seen].map(([name, { version }]) => [name, version] as const)), new Map());
      state.ledger.bindTable(table);
      const generations = state.wrappedGenerations();
      const { generation, fingerprint } = current;
      log(keysEvent('master-key.recovered', { table, generation, fingerprint }));
      return { table, generations, fingerprint };
    } finally {
      lock.release();
    }
  });
}

function exists({ folder }: Operator['state']) {
  return keysError('MASTER_KEY_EXISTS', { folder });
}

/** What is here already is what a recovery left that was interrupted, or else this is no host that lost its keys. */
async function requireTheSame(state: Operator['state'], entries: readonly RegistryEntry[]): Promise<void> {
  for (const generation of state.wrappedGenerations()) {
    const entry = entries.find((each) => each.generation === generation);
    const here = await state.readWrapped(generation);
    if (entry === undefined || here?.equals(entry.wrapped) !== true) throw exists(state);
  }
}

/**
 * Opens with KMS keys of this account, and with those that the gateway config names. Whoever may write to the table
 * chooses what a copy says of itself: with a key of another account he would choose what this host seals under.
 */
async function trustedUnwrapper(
  operator: Operator,
  entries: readonly RegistryEntry[],
  signal: AbortSignal,
): Promise<KmsUnwrapper> {
  const { host, kmsFor } = operator;
  const { accountId, partition } = await callerOf(host, signal);
  const named = entries.map(({ wrapped }) => wrappingOf(wrapped).keyArn);
  const own = named.filter((keyArn) => parseKeyArn(keyArn)?.accountId === accountId);
  if (own.length === named.length) return kmsUnwrapper({ trust: { accountId, partition }, kmsFor });
  const configured = await configuredKeys(host, signal);
  const { bindingKey, trustedKeys = [] } = configured ?? {};
  const binding = bindingKey === undefined ? undefined : await wantedBinding(operator, bindingKey, signal);
  const keyArns = [...own, ...trustedKeys, ...(binding === undefined ? [] : [binding.keyArn])];
  return kmsUnwrapper({ trust: { keyArns }, kmsFor });
}

/** Keeps a copy, once it was opened as what the registry says it is. */
async function restored(
  { agentName, state }: Operator,
  { generation, wrapped, fingerprint }: RegistryEntry,
  bindingKey: KmsUnwrapper,
  signal: AbortSignal,
): Promise<void> {
  const masterKey = await openMasterKey(wrapped, { agentName, generation }, bindingKey, signal);
  const isRight = fingerprintOf(masterKey) === fingerprint;
  masterKey.key.dispose();
  if (!isRight) throw keysError('REGISTRY_DISAGREES', { agent: agentName, generation });
  // The same bytes, where they are here already.
  await state.writeWrapped(generation, wrapped, { overwrite: true });
}
