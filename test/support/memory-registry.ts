import { keysError } from '../../src/keys/errors.ts';
import type { Seen } from '../../src/keys/ledger.ts';
import { type Lease, type Registry, type RegistryEntry, raised } from '../../src/keys/registry.ts';

export interface MemoryRegistry extends Registry {
  /** Makes every call fail with this error until it is called with undefined. */
  failWith(error: Error | undefined): void;
  /** What was asked, in order. */
  readonly calls: string[];
}

interface Host {
  readonly entries: Map<number, RegistryEntry>;
  readonly seen: Map<string, Seen>;
  lease?: Lease;
}

/** A registry in memory, for tests. */
export function memoryRegistry(table = 'memory'): MemoryRegistry {
  const hosts = new Map<string, Host>();
  const calls: string[] = [];
  let failure: Error | undefined;

  function asked(call: string, signal: AbortSignal): void {
    signal.throwIfAborted();
    calls.push(call);
    if (failure !== undefined) throw failure;
  }

  function hostOf(agentName: string): Host {
    const host = hosts.get(agentName) ?? { entries: new Map(), seen: new Map() };
    hosts.set(agentName, host);
    return host;
  }

  return {
    table,
    calls,
    failWith(error) {
      failure = error;
    },

    async check(signal) {
      asked('check', signal);
    },
    async list(agentName, signal) {
      asked('list', signal);
      const entries = [...hostOf(agentName).entries.values()];
      return entries.toSorted((one, other) => one.generation - other.generation);
    },
    async put(agentName, entry, signal) {
      asked('put', signal);
      const { entries } = hostOf(agentName);
      const { generation, fingerprint } = entry;
      if ((entries.get(generation)?.fingerprint ?? fingerprint) !== fingerprint) {
        throw keysError('REGISTRY_DISAGREES', { table, agent: agentName, generation });
      }
      entries.set(generation, entry);
    },
    async lease(agentName, lease, now, signal) {
      asked('lease', signal);
      const host = hostOf(agentName);
      const { holder, until } = host.lease ?? lease;
      if (holder !== lease.holder && until >= now) {
        throw keysError('REGISTRY_LEASED', { table, agent: agentName, holder, until: until.toISOString() });
      }
      host.lease = lease;
    },
    async release(agentName, holder, signal) {
      asked('release', signal);
      const host = hostOf(agentName);
      if (host.lease?.holder === holder) delete host.lease;
    },
    async seen(agentName, signal) {
      asked('seen', signal);
      return new Map(hostOf(agentName).seen);
    },
    async raise(agentName, versions, signal) {
      asked('raise', signal);
      const { seen } = hostOf(agentName);
      for (const [name, version] of versions) seen.set(name, raised(seen.get(name), version));
    },
    async allowOlder(agentName, name, signal) {
      asked('allowOlder', signal);
      const { seen } = hostOf(agentName);
      const { version = 0, loweredFrom } = seen.get(name) ?? {};
      if (version === 0) return loweredFrom;
      seen.set(name, { version: 0, loweredFrom: version });
      return version;
    },
  };
}
