import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import { GatehouseError } from '../../base/errors.ts';
import type { EventsConfig } from '../../events/config.ts';
import { type DestinationRole, destinationRole } from '../../events/destination-role.ts';
import type { DataKey } from '../../events/spool/data-keys.ts';
import { callerIdentity } from '../../identity/caller.ts';
import type { StateDirectory } from '../../system/state-directory.ts';
import type { Environment } from '../aws/aws-reach.ts';
import { type Events, type EventsAccess, eventsThread, startEvents } from '../events.ts';
import type { Host } from '../host.ts';
import type { KeyAccess } from '../key-access.ts';
import type { StartTime } from '../start-time.ts';
import { type SpoolKeys, spoolKeys } from './spool-keys.ts';

/**
 * The thread of the events, ahead of the gateway config, where this host has shipped before: it loads its modules while
 * this one fetches credentials and config, which takes a quarter off the start. Whoever asks for it ends it.
 */
export function threadAhead(state: StateDirectory): Worker | undefined {
  return ['spool', oldSpool].some((name) => existsSync(join(state.path, name))) ? eventsThread() : undefined;
}

/** What the first data key may take at the start. */
const firstKeyMsMax = 30_000;

/** Of state directories of version 1. */
const oldSpool = 'spool.db';

/**
 * Opens the spool and starts shipping in the worker; undefined where the gateway config ships nothing.
 * @throws KEY_…, FILE_…, EVENTS_…
 */
export async function openEvents(
  host: Host,
  state: StateDirectory,
  keys: KeyAccess,
  config: EventsConfig | undefined,
  thread: Worker | undefined,
  time: Pick<StartTime, 'part' | 'left'>,
  signal: AbortSignal,
): Promise<Events | undefined> {
  if (config === undefined) {
    await thread?.terminate();
    if (!existsSync(join(state.path, oldSpool))) await state.upgrade();
    return undefined;
  }
  const { launch, recorder, bootstrap, region } = host;
  const accountId = await time.part('STS', signal, (within) => accountIdFor(config, host, within));
  const { clock } = launch;
  const { log } = recorder;
  const { dataKeys } = keys;
  const agentName = bootstrap.origins.get('name') === 'host name' ? undefined : bootstrap.config.name;
  const kept = dataKeys === undefined ? undefined : spoolKeys({ state, dataKeys, agentName, clock, log });
  const dataKey = await firstKey(kept, clock, Math.min(firstKeyMsMax, time.left()), signal);
  const settings = {
    config,
    name: bootstrap.config.name,
    hostId: state.hostId,
    hostname: hostname(),
    region,
    ...(accountId === undefined ? {} : { accountId }),
    readFrom: bootstrap.config.allow.readFrom,
    stateDirectory: state.path,
    stateVersion: state.version,
    env: awsEnvironment(launch.env),
  };
  const events = await startEvents(
    {
      thread,
      settings,
      access: (roleOf) => accessUnder(host, destinationRole(config, roleOf)),
      keys: kept,
      dataKey,
      log,
      clock,
    },
    // Not the agent's own signal: a stop must let the worker drain.
    new AbortController().signal,
  );
  await state.upgrade();
  // Not waited for: what it takes does not hold up the start.
  void kept?.rewrap().catch(() => undefined);
  return events;
}

/** The host's own credentials, or those of a role that it assumes. */
function accessUnder(host: Host, role: DestinationRole | undefined): EventsAccess {
  const { credentials, denials } = role === undefined ? host : host.roles.as(role);
  return { credentials: (signal) => credentials.current(signal), denials };
}

/**
 * The key to begin with. Where it cannot be had now, the agent starts without it: events wait where they are, and it is
 * asked for again.
 */
async function firstKey(
  keys: SpoolKeys | undefined,
  clock: Clock,
  withinMs: number,
  signal: AbortSignal,
): Promise<DataKey | undefined> {
  if (keys === undefined) return undefined;
  try {
    return await clock.deadline(withinMs, 'KMS', signal, () => keys.current());
  } catch (error) {
    if (!signal.aborted && error instanceof GatehouseError && error.row.retry) return undefined;
    throw error;
  }
}

/** Asked of STS only where a name is made of it. */
async function accountIdFor(
  config: EventsConfig,
  host: Host,
  signal: AbortSignal,
): Promise<string | undefined> {
  const templates = [config, ...Object.values(config.sources)].flatMap(({ logGroup, logStream }) => [
    logGroup,
    logStream,
  ]);
  if (!templates.some((template) => template?.includes('{accountId}') ?? false)) return undefined;
  return (await callerIdentity(await host.aws.sts(), signal)).accountId;
}

const awsVariable =
  /^(?:AWS_ENDPOINT_URL(?:_[A-Z_]+)?|AWS_CA_BUNDLE|AWS_USE_(?:FIPS|DUALSTACK)_ENDPOINT|(?:https|no)_proxy)$/iu;

/** What of the environment the worker's AWS client needs, and nothing else. */
function awsEnvironment(env: Environment): Record<string, string> {
  const needed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && awsVariable.test(name)) needed[name] = value;
  }
  return needed;
}
