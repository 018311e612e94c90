import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { callerIdentity } from '../../identity/caller.ts';
import { dynamodbRegistry } from '../../keys/dynamodb-registry.ts';
import { keysError } from '../../keys/errors.ts';
import type { GenerationState } from '../../keys/ledger.ts';
import { wrappingOf } from '../../keys/master-key.ts';
import type { Registry } from '../../keys/registry.ts';
import { configuredKeys, type Operator } from './operator.ts';

/** A lease outlives its holder by at most this; it is held longer every third of it. */
const leaseMs = 10 * 60_000;

/** The registry during one change, in which nobody else changes this host's master key. */
export interface Publication {
  /** Makes a generation known. @throws REGISTRY_DISAGREES, REGISTRY_… */
  publish(
    generation: { readonly number: number; readonly state: GenerationState; readonly fingerprint: string },
    wrapped: Buffer,
    signal: AbortSignal,
  ): Promise<void>;
  /** The highest generation that was ever made known; 0 before any. */
  highest(signal: AbortSignal): Promise<number>;
  /** Holds the lease longer, when it is time. @throws REGISTRY_LEASED, REGISTRY_… */
  keep(signal: AbortSignal): Promise<void>;
}

const nowhere: Publication = {
  publish: () => Promise.resolve(),
  highest: () => Promise.resolve(0),
  keep: () => Promise.resolve(),
};

/** Runs a change under the registry's lease; without a registry there is none. */
export async function publishing<T>(
  operator: Operator,
  work: (publication: Publication) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const registry = boundRegistry(operator);
  if (registry === undefined) return work(nowhere);
  const { agentName, host } = operator;
  const { clock } = host.launch;
  const { arn: changedBy } = await callerIdentity(await host.aws.sts(), signal);
  const holder = `${changedBy} on ${hostname()}, ${randomUUID()}`;
  let heldUntilMs = 0;
  const hold = async (sig: AbortSignal): Promise<void> => {
    const now = clock.now();
    heldUntilMs = now.getTime() + leaseMs;
    await registry.lease(agentName, { holder, until: new Date(heldUntilMs) }, now, sig);
  };

  await hold(signal);
  try {
    return await work({
      async publish({ number: generation, state, fingerprint }, wrapped, sig) {
        const { keyArn: bindingKeyArn, algorithm } = wrappingOf(wrapped);
        const entry = { generation, state, fingerprint, bindingKeyArn, algorithm, wrapped };
        await registry.put(agentName, { ...entry, changedBy, changedAt: clock.now() }, sig);
      },
      async highest(sig) {
        const entries = await registry.list(agentName, sig);
        return Math.max(0, ...entries.map(({ generation }) => generation));
      },
      async keep(sig) {
        if (clock.now().getTime() > heldUntilMs - (leaseMs * 2) / 3) await hold(sig);
      },
    });
  } finally {
    // Also where the work was cancelled; what fails here runs out by itself.
    await registry.release(agentName, holder, new AbortController().signal).catch(() => undefined);
  }
}

/** The registry that this host is bound to; undefined where it is to none. */
export function boundRegistry({ state, host }: Pick<Operator, 'state' | 'host'>): Registry | undefined {
  const table = state.ledger.registryTable();
  return table === undefined ? undefined : registryAt(table, host);
}

/** @throws REGISTRY_TABLE_NAME_INVALID */
export function registryAt(table: string, { aws }: Operator['host']): Registry {
  return dynamodbRegistry(table, () => aws.dynamodb());
}

/** The table that is named, or that the gateway config names. @throws REGISTRY_TABLE_UNNAMED */
export async function wantedTable(
  { host }: Pick<Operator, 'host'>,
  named: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const table = named ?? (await configuredKeys(host, signal))?.registryTable;
  if (table === undefined) throw keysError('REGISTRY_TABLE_UNNAMED');
  return table;
}
