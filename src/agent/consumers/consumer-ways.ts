import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { AccessToken } from '../../api/access-token.ts';
import type { ConsumerConfig } from '../../api/config.ts';
import { consumerSocketPath } from '../../api/consumer-client.ts';
import { consumerEndpoint, type SocketConsumer } from '../../api/consumer-endpoint.ts';
import { containerEndpoint } from '../../api/container-endpoint.ts';
import type { Endpoint, OnRefused } from '../../api/endpoint.ts';
import {
  type EndpointListener,
  endpointHost,
  listenOnInherited,
  listenOnPath,
  listenOnPort,
} from '../../api/endpoint-listener.ts';
import { loopbackOnly } from '../../api/loopback-guard.ts';
import { metadataEndpoint } from '../../api/metadata-endpoint.ts';
import { metadataTokens } from '../../api/metadata-token.ts';
import type { Clock } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { type FileDeliveryParts, fileDelivery } from '../../delivery/file.ts';
import { ensureRuntimeDirectory } from '../../system/runtime-directory.ts';
import { agentError } from '../errors.ts';

export type WayName = 'container' | 'token' | 'socket' | 'metadata';

/** One way by which consumers get credentials, open or not. Opening and closing never overlap. */
export interface Way {
  readonly name: WayName;
  /** Absent for the container endpoint, which is for all that have a token. */
  readonly consumer?: string;
  /** Resolves with where it is. Throws what keeps it closed; it may be tried again. */
  open(signal: AbortSignal): Promise<string>;
  /** Only of one that is open. */
  close(): Promise<void>;
  /** Renews what wears out, where something does and it is due; says whether it did. */
  renew?(signal: AbortSignal): Promise<boolean>;
}

/** What of the running agent the ways need. */
export interface WayContext {
  readonly runtimeDirectory: string;
  readonly region: string;
  /** Of this host, for the instance id that it is given. */
  readonly hostName: string;
  readonly clock: Clock;
  readonly files: FileDeliveryParts;
  /** Resolves when this value is no longer shipped, whoever logs it. */
  readonly redact: (name: string, value: Secret) => Promise<void>;
  /** A consumer that the gateway config names now. */
  readonly find: (name: string) => SocketConsumer | undefined;
  /** The token of a consumer that has one now. */
  readonly tokenOf: (name: string) => AccessToken | undefined;
  onRefused(way: WayName, consumer: string | undefined): OnRefused;
}

/** The container endpoint, for those that have a token. */
export function containerWay(port: number, context: WayContext): Way {
  const onRefused = context.onRefused('container', undefined);
  const endpoint = containerEndpoint((name) => {
    const consumer = context.find(name);
    const token = context.tokenOf(name);
    return consumer && token && { ...consumer, accepts: (shown) => token.accepts(shown) };
  }, onRefused);
  return { name: 'container', ...onPort(port, loopbackOnly(endpoint, onRefused)) };
}

/** Where instance metadata is, and what it says. */
export interface MetadataPlace {
  readonly roleName: string;
  readonly accountId: string | undefined;
  readonly port: number;
}

/** Instance metadata for one consumer. */
export function metadataWay(
  consumer: string,
  { roleName, accountId, port }: MetadataPlace,
  context: WayContext,
): Way {
  const onRefused = context.onRefused('metadata', consumer);
  const { region, hostName, clock, find } = context;
  const endpoint = metadataEndpoint({
    consumer: {
      name: consumer,
      async credentials(signal) {
        const found = find(consumer);
        if (found === undefined) throw agentError('CONSUMER_UNKNOWN', { consumer });
        return found.credentials(signal);
      },
    },
    roleName,
    machine: { region, instanceId: instanceIdOf(hostName), accountId },
    tokens: metadataTokens(clock),
    onRefused,
  });
  return { name: 'metadata', consumer, ...onPort(port, loopbackOnly(endpoint, onRefused)) };
}

/** A socket of one consumer; one that systemd opened for it goes before one of our own. */
export function socketWay(
  consumer: string,
  { owner, group, mode }: NonNullable<ConsumerConfig['socket']>,
  context: WayContext,
): Way {
  const endpoint = consumerEndpoint(() => context.find(consumer), context.onRefused('socket', consumer));
  const { runtimeDirectory, files } = context;
  let listener: EndpointListener | undefined;

  return {
    name: 'socket',
    consumer,
    async open(signal) {
      const path = consumerSocketPath(runtimeDirectory, consumer);
      await ensureRuntimeDirectory(dirname(path));
      const ids = await files.ownerIds(owner, group, signal);
      listener = await listenOnPath(path, { mode: Number.parseInt(mode, 8), ...ids }, endpoint);
      return path;
    },
    close: async () => listener?.close(),
  };
}

/** A socket that systemd opened: it is there as long as the agent is, whatever the gateway config says. */
export function inheritedWay(consumer: string, fd: number, context: WayContext): Way {
  const endpoint = consumerEndpoint(() => context.find(consumer), context.onRefused('socket', consumer));
  let listener: EndpointListener | undefined;
  return {
    name: 'socket',
    consumer,
    async open() {
      listener = await listenOnInherited(fd, endpoint);
      return `file descriptor ${fd}`;
    },
    close: async () => listener?.close(),
  };
}

/** A new token this often; the one before is accepted for a while, for a request may be under way with it. */
const rotateEveryMs = 6 * 3_600_000;
const retireAfterMs = 5 * 60_000;

/** The token of one consumer, in its file. */
export function tokenWay(
  consumer: string,
  { path, owner, group, mode }: NonNullable<ConsumerConfig['tokenFile']>,
  token: AccessToken,
  { clock, files, redact }: WayContext,
): Way {
  const delivery = fileDelivery({ file: path, owner, group, mode, allowDisk: false }, files);
  let rotatedAt = 0;
  let isRetired = true;

  async function rotate(signal: AbortSignal): Promise<void> {
    const value = token.propose();
    try {
      await redact(`consumer ${consumer} access token`, value);
      await delivery.deliver({ name: consumer, value, version: '' }, signal);
    } finally {
      value.dispose();
    }
    token.adopt();
    rotatedAt = clock.monotonic();
    isRetired = false;
  }

  return {
    name: 'token',
    consumer,
    async open(signal) {
      await rotate(signal);
      return path;
    },
    async close() {
      await delivery.withdraw(new AbortController().signal);
    },
    async renew(signal) {
      const age = clock.monotonic() - rotatedAt;
      if (!isRetired && age >= retireAfterMs) {
        token.retire();
        isRetired = true;
      }
      if (age < rotateEveryMs) return false;
      await rotate(signal);
      return true;
    },
  };
}

/** Not EC2's: the same for a host of the same name, and in the form that tools expect. */
export function instanceIdOf(hostName: string): string {
  return `i-${createHash('sha256').update(hostName).digest('hex').slice(0, 17)}`;
}

function onPort(port: number, endpoint: Endpoint): Pick<Way, 'open' | 'close'> {
  let listener: EndpointListener | undefined;
  return {
    async open() {
      listener = await listenOnPort(port, endpoint);
      return `${endpointHost}:${listener.port ?? port}`;
    },
    close: async () => listener?.close(),
  };
}
