import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type AccessToken, accessToken } from '../api/access-token.ts';
import type { ConsumerConfig, CredentialEndpointsConfig } from '../api/config.ts';
import type { SocketConsumer } from '../api/consumer-endpoint.ts';
import type { SessionRequest } from '../api/consumer-session.ts';
import type { HandedCredentials } from '../api/credential-document.ts';
import { asGatehouseError, reportOf } from '../base/errors.ts';
import { backoffMs } from '../base/retry.ts';
import type { Secret } from '../base/secret.ts';
import type { FileDeliveryParts } from '../delivery/file.ts';
import type { Credentials } from '../identity/credential-source.ts';
import type { RefreshingCredentials } from '../identity/refreshing.ts';
import { type ConsumerRole, consumerCredentials, handed } from './consumers/consumer-credentials.ts';
import type { ConsumerReads } from './consumers/consumer-reads.ts';
import {
  containerWay,
  inheritedWay,
  metadataWay,
  socketWay,
  tokenWay,
  type Way,
  type WayContext,
  type WayName,
} from './consumers/consumer-ways.ts';
import { refusals } from './consumers/refusals.ts';
import type { AuditGate } from './events/audit-gate.ts';
import type { Host } from './host.ts';
import { agentEvent } from './log-events.ts';
import type { CredentialsStatus } from './monitoring/status.ts';
import { heldStatus } from './monitoring/status-report.ts';
import { turns } from './turns.ts';

/** What `status` says of one consumer. */
export interface ConsumerStatus {
  readonly name: string;
  readonly credentials: CredentialsStatus;
  /** Requests that were answered with credentials. */
  readonly reads: number;
  /** How it gets them, and where: a path, an address with its port. */
  readonly ways: readonly WayStatus[];
  /** The code of what keeps it from its credentials, or a way closed; absent when all is well. */
  readonly failing?: string;
}

export interface WayStatus {
  readonly way: WayName;
  /** Absent while it is closed. */
  readonly address?: string;
  readonly failing?: string;
}

/** The programs of this host that get AWS credentials from us, each with its own. */
export interface Consumers {
  /**
   * Follows a config: opens what is new, closes what left, leaves alone what stays. What fails is said, and tried
   * again. It waits for the first attempt to get credentials for those that are new, however that ends.
   */
  configure(config: CredentialEndpointsConfig, signal: AbortSignal): Promise<void>;
  /** Tries again what failed and rotates tokens, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  status(): { readonly consumers: readonly ConsumerStatus[]; readonly refused: number };
  /** Closes every way, and ends the renewal of every role. */
  close(): Promise<void>;
}

export interface ConsumersParts {
  readonly host: Host;
  readonly reads: Pick<ConsumerReads, 'record'>;
  /** Where access depends on its record. */
  readonly gate: AuditGate | undefined;
  /** Resolves when this value is no longer shipped, whoever logs it. */
  readonly redact: (name: string, value: Secret) => Promise<void>;
  readonly files: FileDeliveryParts;
  /** Sockets that systemd opened for us: consumer → file descriptor. */
  readonly inherited: ReadonlyMap<string, number>;
}

interface Entry {
  readonly name: string;
  readonly role: ConsumerRole;
  readonly credentials: RefreshingCredentials;
  /** Ends its renewal. */
  readonly leaving: AbortController;
  readonly renewal: Promise<void>;
  reads: number;
  /** What was handed out last, and of which credentials it was made. */
  given?: { readonly of: Credentials; readonly handed: HandedCredentials };
  /** Whose values are no longer shipped, once that is done. */
  redacted?: { readonly accessKeyId: string; readonly done: Promise<unknown> };
}

/** A token, and what it was made for: whoever knows it gets nothing of what comes after that. */
interface HeldToken {
  readonly role: ConsumerRole;
  readonly tokenFile: NonNullable<ConsumerConfig['tokenFile']>;
  readonly token: AccessToken;
}

interface OpenWay {
  /** What it was made of: another key is another way. */
  readonly key: string;
  readonly way: Way;
  address?: string;
  failing?: string;
  failures: number;
  /** Monotonic. */
  retryAt: number;
}

/** How often it is looked whether something is to be tried again, or worn out. */
const lookEveryMs = 10_000;
const retryBackoff = { baseMs: 2_000, capMs: 60_000 };

/** The first attempt to get credentials holds up the start no longer. */
const firstWithinMs = 5_000;

export function consumers(parts: ConsumersParts): Consumers {
  const { host, reads, gate, redact, files, inherited } = parts;
  const { clock } = host.launch;
  const { log } = host.recorder;
  const { runtimeDirectory, name: hostName } = host.bootstrap.config;
  const refused = refusals({ clock, log });
  let entries: ReadonlyMap<string, Entry> = new Map();
  /** Of the consumers that have a token file. */
  let tokens: ReadonlyMap<string, HeldToken> = new Map();
  let ways: OpenWay[] = [];
  const inTurn = turns();

  const context: WayContext = {
    runtimeDirectory,
    region: host.region,
    hostName,
    clock,
    files,
    redact,
    find(name) {
      const entry = entries.get(name);
      return entry === undefined ? undefined : socketConsumer(entry);
    },
    tokenOf: (name) => tokens.get(name)?.token,
    onRefused:
      (way, consumer) =>
      ({ reason, consumer: named = consumer }) =>
        refused.record({ way, reason, consumer: named }),
  };

  function socketConsumer(entry: Entry): SocketConsumer {
    const { name, credentials, role } = entry;
    return {
      name,
      async credentials(signal) {
        const held = await credentials.current(signal);
        if (entry.given?.of !== held) {
          const lastUpdated = credentials.state().lastRenewed ?? clock.now();
          entry.given = { of: held, handed: handed(held, lastUpdated) };
        }
        const given = entry.given.handed;
        await redacted(entry, given);
        reads.record({ consumer: name, what: 'credentials', version: given.accessKeyId });
        await gate?.(signal);
        entry.reads += 1;
        return given;
      },
      session: () => (role.allowHostRole ? hostSession(host) : undefined),
    };
  }

  /** Before anybody has them: also the host's own, whose renewal may not have come to the redaction yet. */
  async function redacted(entry: Entry, given: HandedCredentials): Promise<void> {
    const { accessKeyId, secretAccessKey, sessionToken } = given;
    if (entry.redacted?.accessKeyId !== accessKeyId) {
      const done = Promise.all([
        redact(`consumer ${entry.name} secret access key`, secretAccessKey),
        redact(`consumer ${entry.name} session token`, sessionToken),
      ]);
      entry.redacted = { accessKeyId, done };
    }
    await entry.redacted.done;
  }

  function enter(name: string, config: ConsumerConfig): Entry {
    const role = roleOf(config);
    const before = entries.get(name);
    if (before !== undefined && isDeepStrictEqual(before.role, role)) return before;
    if (role.allowHostRole) log(agentEvent('consumer.host-role', { consumer: name }));
    const credentials = consumerCredentials(name, role, host);
    const leaving = new AbortController();
    // The host's own are renewed already; no error but the signal's reason ends a renewal.
    const renewal = role.allowHostRole
      ? Promise.resolve()
      : credentials.run(leaving.signal).catch(() => undefined);
    return { name, role, credentials, leaving, renewal, reads: before?.reads ?? 0 };
  }

  /** Another role, or a file that others can read, is another token. */
  function hold(name: string, config: ConsumerConfig): [string, HeldToken][] {
    const { tokenFile } = config;
    if (tokenFile === undefined) return [];
    const role = roleOf(config);
    const before = tokens.get(name);
    const isSame = isDeepStrictEqual(before?.role, role) && isDeepStrictEqual(before?.tokenFile, tokenFile);
    return [[name, before !== undefined && isSame ? before : { role, tokenFile, token: accessToken() }]];
  }

  async function open(one: OpenWay, signal: AbortSignal): Promise<void> {
    const { way } = one;
    try {
      one.address = await way.open(signal);
      delete one.failing;
      one.failures = 0;
      log(agentEvent('consumer.opened', { consumer: way.consumer, way: way.name, address: one.address }));
    } catch (error) {
      signal.throwIfAborted();
      failed(one, error);
    }
  }

  async function renew(one: OpenWay, signal: AbortSignal): Promise<void> {
    try {
      const isRenewed = (await one.way.renew?.(signal)) ?? false;
      if (!isRenewed) return;
      delete one.failing;
      one.failures = 0;
      log(agentEvent('consumer.token-rotated', { consumer: one.way.consumer }));
    } catch (error) {
      signal.throwIfAborted();
      failed(one, error);
    }
  }

  function failed(one: OpenWay, error: unknown): void {
    const { code } = asGatehouseError(error);
    const { consumer, name: way } = one.way;
    if (one.failing !== code)
      log(agentEvent('consumer.open-failed', { consumer, way, error: reportOf(error) }));
    one.failing = code;
    one.retryAt = clock.monotonic() + backoffMs(one.failures, retryBackoff);
    one.failures += 1;
  }

  /** What the config wants, tokens first: who finds the port open finds its token in place. */
  function wanted(
    { containerPort, consumers: named }: CredentialEndpointsConfig,
    held: ReadonlyMap<string, HeldToken>,
  ): OpenWay[] {
    const all: OpenWay[] = [];
    const add = (key: unknown, way: Way): void => {
      all.push({ key: JSON.stringify(key), way, failures: 0, retryAt: 0 });
    };
    for (const [name, { role, tokenFile, token }] of held) {
      add(['token', name, role, tokenFile], tokenWay(name, tokenFile, token, context));
    }
    for (const [name, { socket, metadataPort, roleArn }] of Object.entries(named)) {
      if (socket !== undefined && !inherited.has(name)) {
        add(['socket', name, socket], socketWay(name, socket, context));
      }
      if (metadataPort !== undefined) {
        const roleName = roleArn?.split('/').at(-1) ?? name;
        const machine = { roleName, accountId: roleArn?.split(':')[4], port: metadataPort };
        add(['metadata', name, machine], metadataWay(name, machine, context));
      }
    }
    for (const [name, fd] of inherited) add(['inherited', name], inheritedWay(name, fd, context));
    if (containerPort !== undefined && held.size > 0) {
      add(['container', containerPort], containerWay(containerPort, context));
    }
    return all;
  }

  async function close({ way, address }: OpenWay): Promise<void> {
    if (address === undefined) return;
    // What cannot be closed has nothing left to close, or is a file that somebody else changed: it is of no use to them.
    await way.close().catch(() => undefined);
    log(agentEvent('consumer.closed', { consumer: way.consumer, way: way.name }));
  }

  /**
   * A port or a path goes from one way to the next, and what is read there from one role to the next: what leaves is
   * closed first, then everything changes at once, and only then is anything opened.
   */
  async function follow(next: readonly OpenWay[], change: () => void, signal: AbortSignal): Promise<void> {
    const present = new Map(ways.map((one) => [one.key, one]));
    const kept = next.map((one) => present.get(one.key) ?? one);
    const staying = new Set(kept);
    for (const one of ways.toReversed()) if (!staying.has(one)) await close(one);
    ways = kept;
    change();
    for (const one of ways) if (one.address === undefined) await open(one, signal);
  }

  return {
    async configure(config, signal) {
      const fresh = await inTurn(async () => {
        const before = entries;
        const named = Object.entries(config.consumers);
        const next = new Map(named.map(([name, each]) => [name, enter(name, each)]));
        const held = new Map(named.flatMap(([name, each]) => hold(name, each)));
        const change = (): void => {
          entries = next;
          tokens = held;
          for (const [name, entry] of before) if (next.get(name) !== entry) entry.leaving.abort();
        };
        await follow(wanted(config, held), change, signal);
        return [...next.values()].filter((entry) => before.get(entry.name) !== entry);
      });
      const first = (within: AbortSignal) =>
        Promise.allSettled(fresh.map(({ credentials }) => credentials.current(within)));
      await clock
        .deadline(firstWithinMs, 'credentials of consumers', signal, first)
        .catch(() => signal.throwIfAborted());
    },

    async run(signal) {
      for (;;) {
        await clock.sleep(lookEveryMs, signal);
        await inTurn(async () => {
          for (const one of ways) {
            if (one.retryAt > clock.monotonic()) continue;
            if (one.address === undefined) await open(one, signal);
            else await renew(one, signal);
          }
        });
      }
    },

    status: () => ({
      consumers: [...entries.values()].map((entry) => statusOf(entry, ways)),
      refused: refused.total(),
    }),

    async close() {
      await inTurn(async () => {
        const before = entries;
        const change = (): void => {
          for (const { leaving } of before.values()) leaving.abort();
        };
        await follow([], change, new AbortController().signal);
        await Promise.all([...before.values()].map(({ renewal }) => renewal));
        entries = new Map();
        tokens = new Map();
      });
    },
  };
}

function roleOf(config: ConsumerConfig): ConsumerRole {
  const { roleArn, externalId, sessionName, sessionPolicy, durationSeconds, allowHostRole } = config;
  return { roleArn, externalId, sessionName, sessionPolicy, durationSeconds, allowHostRole };
}

/** What the host's own credentials are a session of, where IAM Roles Anywhere gave them. */
function hostSession({ bootstrap, chain }: Host): SessionRequest | undefined {
  const { rolesAnywhere } = bootstrap.config.credentials;
  if (rolesAnywhere === undefined || chain.answered !== 'roles-anywhere') return undefined;
  const { trustAnchorArn, profileArn, roleArn } = rolesAnywhere;
  return {
    trustAnchorArn,
    profileArn,
    roleArn,
    certificate: resolve(rolesAnywhere.certificate),
    sessionName: rolesAnywhere.roleSessionName,
    durationSeconds: rolesAnywhere.sessionDurationSeconds,
  };
}

function statusOf({ name, credentials, reads }: Entry, ways: readonly OpenWay[]): ConsumerStatus {
  const state = heldStatus(credentials.state());
  const hasToken = ways.some(({ way }) => way.name === 'token' && way.consumer === name);
  const own = ways.filter(({ way }) => (way.consumer === undefined ? hasToken : way.consumer === name));
  const failing = state.failing?.code ?? own.find((one) => one.failing !== undefined)?.failing;
  return {
    name,
    credentials: state,
    reads,
    ways: own.map(wayStatus),
    ...(failing === undefined ? {} : { failing }),
  };
}

function wayStatus({ way, address, failing }: OpenWay): WayStatus {
  return {
    way: way.name,
    ...(address === undefined ? {} : { address }),
    ...(failing === undefined ? {} : { failing }),
  };
}
