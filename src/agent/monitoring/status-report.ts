import type { EventsStatus } from '../../events/status.ts';
import type { CertificateWatch } from '../../identity/certificate-watch.ts';
import type { RefreshingState } from '../../identity/refreshing.ts';
import type { Consumers } from '../consumers.ts';
import type { Events } from '../events.ts';
import type { CopyKeeper } from '../gateway-config/copy-keeper.ts';
import type { FollowedConfig } from '../gateway-config/followed-config.ts';
import type { Host } from '../host.ts';
import type { KeyAccess } from '../key-access.ts';
import { notApplied } from '../not-applied.ts';
import type { StartTime } from '../start-time.ts';
import type { WorkloadSecrets } from '../workload-secrets.ts';
import type { LogLevelSwitch } from './log-level.ts';
import type { MonitoringListener } from './monitoring-listener.ts';
import type { AgentState, AgentStatus, CertificateStatus, CredentialsStatus } from './status.ts';

/** The parts of a running agent that its status speaks of; those that are not there yet are absent. */
export interface AgentParts {
  readonly host: Host;
  /** Known once the state directory is locked. */
  hostId?: string;
  readonly startedAt: Date;
  phase: 'starting' | 'ready' | 'stopping';
  startTime?: Pick<StartTime, 'waitsFor'>;
  readonly logLevel: Pick<LogLevelSwitch, 'state' | 'set'>;
  monitoring?: Pick<MonitoringListener, 'status'>;
  certificate?: Pick<CertificateWatch, 'state'>;
  config?: Pick<FollowedConfig, 'state'>;
  copy?: Pick<CopyKeeper, 'state'>;
  keys?: Pick<KeyAccess, 'expiry'>;
  workload?: WorkloadSecrets;
  consumers?: Consumers;
  events?: Events;
}

/** The state of the agent as `control.sock` gives it. */
export async function statusOf(parts: AgentParts): Promise<AgentStatus> {
  const { host, hostId, startedAt, config, workload } = parts;
  const credentials = credentialsStatus(host);
  const clockSkewSeconds = host.clockSkew.seconds();
  const configState = config?.state();
  const { secrets, deliveries } = workload?.status() ?? { secrets: [], deliveries: [] };
  const monitoring = parts.monitoring?.status();
  const { consumers, refused } = parts.consumers?.status() ?? { consumers: [], refused: 0 };
  const certificate = certificateStatus(parts);
  const waitsFor = parts.phase === 'starting' ? parts.startTime?.waitsFor() : undefined;
  const events = await parts.events?.status();

  const failing = [
    ...((credentials.failing ?? credentials.denied) ? ['credentials'] : []),
    ...(certificate?.renewalFailing === undefined ? [] : ['certificate renewal']),
    ...(configState?.refused === undefined ? [] : ['config']),
    ...secrets.filter((secret) => secret.failing !== undefined).map(({ name }) => `secret ${name}`),
    ...deliveries.filter((each) => each.failing !== undefined).map(({ delivery }) => `delivery ${delivery}`),
    ...consumers.filter((each) => each.failing !== undefined).map(({ name }) => `consumer ${name}`),
    ...failingOf(events),
    ...(monitoring?.failing === undefined ? [] : ['monitoring']),
  ];
  return {
    state: stateOf(parts.phase, failing),
    failing,
    ...(waitsFor === undefined ? {} : { waitsFor }),
    name: host.bootstrap.config.name,
    ...(hostId === undefined ? {} : { hostId }),
    version: host.launch.version,
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    credentials,
    ...(certificate === undefined ? {} : { certificate }),
    ...bindingKeyStatus(parts.keys),
    ...(clockSkewSeconds === 0 ? {} : { clockSkewSeconds }),
    ...(configState === undefined ? {} : { config: configState }),
    ...(parts.copy === undefined ? {} : { configCopy: parts.copy.state() }),
    secrets,
    deliveries,
    consumers,
    refusedReads: refused,
    ...(events === undefined ? {} : { events }),
    logLevel: parts.logLevel.state(),
    ...(monitoring === undefined ? {} : { monitoring }),
    counters: host.recorder.counters(),
    lastErrors: host.recorder.recentErrors(),
  };
}

function certificateStatus({ certificate, host }: AgentParts): CertificateStatus | undefined {
  const state = certificate?.state();
  if (state === undefined) return undefined;
  const { path, serialNumber, expires, renewalFailing } = state;
  const leftMs = expires.getTime() - host.awsClock.now().getTime();
  const trouble = renewalFailing && { ...renewalFailing, since: renewalFailing.since.toISOString() };
  return {
    path,
    serialNumber,
    expires: expires.toISOString(),
    daysLeft: Math.floor(leftMs / 86_400_000),
    ...(trouble === undefined ? {} : { renewalFailing: trouble }),
  };
}

function bindingKeyStatus(keys: AgentParts['keys']): Pick<AgentStatus, 'bindingKey'> {
  if (keys?.expiry === undefined) return {};
  const { keyArn } = keys.expiry;
  const materialExpiresAt = keys.expiry.expiresAt()?.toISOString();
  return { bindingKey: { keyArn, ...(materialExpiresAt === undefined ? {} : { materialExpiresAt }) } };
}

function stateOf(phase: AgentParts['phase'], failing: readonly string[]): AgentState {
  return phase === 'ready' && failing.length > 0 ? 'degraded' : phase;
}

function failingOf(events: EventsStatus | undefined): string[] {
  if (events === undefined) return [];
  return [
    ...(events.spool.isFailing ? ['spool'] : []),
    ...events.sources.flatMap(({ name, failing }) =>
      failing === undefined ? [] : [`events: source ${name}: ${failing}`],
    ),
    ...(events.wedgedMs === undefined ? [] : ['events: wedged']),
    ...(events.failingStreams > 0 ? [`events: ${events.failingStreams} streams`] : []),
  ];
}

function credentialsStatus({ credentials, denials, chain }: AgentParts['host']): CredentialsStatus {
  const denied = denials.state();
  return {
    ...heldStatus(credentials.state()),
    ...(chain.passedOver.length === 0 ? {} : { notApplied: notApplied(chain) }),
    ...(denied === undefined ? {} : { denied: { ...denied, since: denied.since.toISOString() } }),
  };
}

/** Credentials as `status` shows them, whoever's they are. */
export function heldStatus(state: RefreshingState): CredentialsStatus {
  const { source, accessKeyId, expiration, lastRenewed, extendedUntil, isLongTerm, failing } = state;
  return {
    ...(source === undefined ? {} : { source }),
    ...(accessKeyId === undefined ? {} : { accessKeyId }),
    ...(expiration === undefined ? {} : { expiration: expiration.toISOString() }),
    ...(lastRenewed === undefined ? {} : { renewedAt: lastRenewed.toISOString() }),
    ...(extendedUntil === undefined ? {} : { extendedUntil: extendedUntil.toISOString() }),
    ...(isLongTerm === undefined ? {} : { isLongTerm }),
    ...(failing === undefined ? {} : { failing: { ...failing, since: failing.since.toISOString() } }),
  };
}
