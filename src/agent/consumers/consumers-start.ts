import { inheritedSockets } from '../../system/inherited-sockets.ts';
import type { Consumers, ConsumersParts } from '../consumers.ts';
import type { AuditGate } from '../events/audit-gate.ts';
import type { Events } from '../events.ts';
import type { Host } from '../host.ts';
import { fileDeliveryParts } from '../workload-secrets.ts';
import type { ConsumerReads } from './consumer-reads.ts';

/** FileDescriptorName= of a consumer's socket is this and the consumer's name. */
const inheritedPrefix = 'consumer-';

/** The consumers of a host, loaded when a config first names one: most hosts have none, and AWS STS is heavy. */
export function consumersOf(
  host: Host,
  reads: Pick<ConsumerReads, 'record'>,
  gate: AuditGate | undefined,
  events: Pick<Events, 'redact'> | undefined,
): Consumers {
  const inherited = inheritedConsumers(host);
  const loaded = Promise.withResolvers<Consumers>();
  let current: Consumers | undefined;
  const redact: ConsumersParts['redact'] = async (name, value) => events?.redact(name, value);

  async function load(): Promise<Consumers> {
    const { consumers } = await import('../consumers.ts');
    const files = fileDeliveryParts(host.bootstrap.config.allow.deliverTo);
    current = consumers({ host, reads, gate, redact, files, inherited });
    loaded.resolve(current);
    return current;
  }

  return {
    async configure(config, signal) {
      const isNeeded = Object.keys(config.consumers).length > 0 || inherited.size > 0;
      if (current === undefined && !isNeeded) return;
      await (current ?? (await load())).configure(config, signal);
    },

    async run(signal) {
      const aborted = Promise.withResolvers<never>();
      const onAbort = (): void => aborted.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        signal.throwIfAborted();
        await (await Promise.race([loaded.promise, aborted.promise])).run(signal);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },

    status: () => current?.status() ?? { consumers: [], refused: 0 },
    close: async () => current?.close(),
  };
}

function inheritedConsumers({ launch }: Host): ReadonlyMap<string, number> {
  const all = [...inheritedSockets(launch.env, process.pid)];
  return new Map(
    all.flatMap(([name, fd]): [string, number][] =>
      name.startsWith(inheritedPrefix) ? [[name.slice(inheritedPrefix.length), fd]] : [],
    ),
  );
}
