import { keysError } from '../../keys/errors.ts';
import { parseKeyArn } from '../../keys/key-arn.ts';
import { type KmsUnwrapper, kmsUnwrapper } from '../../keys/kms-keyring.ts';
import type { Generation } from '../../keys/ledger.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { openMasterKey, proofOf, wrappingOf } from '../../keys/master-key.ts';
import type { RegistryEntry } from '../../keys/registry.ts';
import { callerOf } from '../kms/admin.ts';
import type { Launch } from '../launch.ts';
import { generationsLeft } from './generations-left.ts';
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
 * it is kept. It may stop at any instant, and goes on when it is run again. An older generation that does not open is left
 * out, and is brought by the same command once it opens.
 * @throws MASTER_KEY_GENERATIONS_LEFT, MASTER_KEY_EXISTS, REGISTRY_EMPTY, REGISTRY_DISAGREES, REGISTRY_…, KEY_NOT_TRUSTED, KEY_…, MASTER_KEY_HOST_UNNAMED
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
      const here = state.wrappedGenerations();
      if (state.ledger.change() !== undefined && here.length > 0) throw exists(state);
      const table = await wantedTable(operator, named, signal);
      const registry = registryAt(table, host);
      await registry.check(signal);
      const all = await registry.list(agentName, signal);
      const entries = all.filter(({ state: each }) => each !== 'abandoned');
      const current = entries.findLast(({ state: each }) => each === 'current');
      if (current === undefined) throw keysError('REGISTRY_EMPTY', { table, agent: agentName });
      const isWhole = entries.every(({ generation: each }) => here.includes(each));
      if (state.ledger.registryTable() !== undefined && isWhole) throw exists(state);

      await requireTheSame(state, entries);
      const unwrapper = await trustedUnwrapper(operator, entries, signal);
      // The one that was in use first, and on record before another is here: were this to end before all are here, the
      // host would seal under it, and not under one that was retired before it, or was only to come.
      const brought = [await restored(operator, current, 'current', unwrapper, signal)];
      state.ledger.restore(brought);
      const left = generationsLeft();
      for (const entry of entries.filter((each) => each !== current)) {
        const generation = await left.unlessRefused(entry.generation, () =>
          restored(operator, entry, 'retired', unwrapper, signal),
        );
        if (generation !== undefined) brought.push(generation);
      }
      state.ledger.restore(brought);
      const seen = await registry.seen(agentName, signal);
      state.ledger.met(new Map([...seen].map(([name, { version }]) => [name, version] as const)), new Map());
      state.ledger.bindTable(table);
      const generations = state.wrappedGenerations();
      const { generation, fingerprint } = current;
      log(keysEvent('master-key.recovered', { table, generation, fingerprint }));
      left.requireNone(generations);
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
  const named = entries.flatMap(({ wrapped }) => keyArnIn(wrapped) ?? []);
  const own = named.filter((keyArn) => parseKeyArn(keyArn)?.accountId === accountId);
  if (own.length === named.length) return kmsUnwrapper({ trust: { accountId, partition }, kmsFor });
  const configured = await configuredKeys(host, signal);
  const { bindingKey, trustedKeys = [] } = configured ?? {};
  const binding = bindingKey === undefined ? undefined : await wantedBinding(operator, bindingKey, signal);
  const keyArns = [...own, ...trustedKeys, ...(binding === undefined ? [] : [binding.keyArn])];
  return kmsUnwrapper({ trust: { keyArns }, kmsFor });
}

/** Undefined where it is damaged: that is said when it is opened. */
function keyArnIn(wrapped: Buffer): string | undefined {
  try {
    return wrappingOf(wrapped).keyArn;
  } catch {
    return undefined;
  }
}

/** Keeps a copy, once it was opened as what the registry says it is. */
async function restored(
  { agentName, state, host }: Operator,
  { generation: number, wrapped, fingerprint, changedAt: createdAt }: RegistryEntry,
  asState: Generation['state'],
  bindingKey: KmsUnwrapper,
  signal: AbortSignal,
): Promise<Generation> {
  const masterKey = await openMasterKey(wrapped, { agentName, generation: number }, bindingKey, signal);
  const proof = proofOf(masterKey, host.launch.clock.now());
  masterKey.key.dispose();
  if (proof.fingerprint !== fingerprint) {
    throw keysError('REGISTRY_DISAGREES', { agent: agentName, generation: number });
  }
  // The same bytes, where they are here already.
  await state.writeWrapped(number, wrapped, { overwrite: true });
  return { number, state: asState, createdAt, proof };
}
