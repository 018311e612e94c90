import { controlRoutes } from '../api/control.ts';
import { type Monitoring, monitoringRoutes } from '../api/monitoring.ts';
import { listenOnSocket } from '../api/socket-server.ts';
import { reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import { requireSecretName } from '../config/bootstrap.ts';
import type { CertificateWatch } from '../identity/certificate-watch.ts';
import { flushCompiledCode } from '../system/code-cache.ts';
import { runCommand } from '../system/command.ts';
import { notifySystemd } from '../system/notify.ts';
import { openFilesWatch, ownOpenFiles } from '../system/open-files.ts';
import { ensureRuntimeDirectory } from '../system/runtime-directory.ts';
import { hangUps, noHangUps, onDebugSignal } from '../system/signals.ts';
import { lockStateDirectory } from '../system/state-directory.ts';
import type { GatewayConfig } from './config.ts';
import { consumerReads } from './consumers/consumer-reads.ts';
import { consumersOf } from './consumers/consumers-start.ts';
import { agentError } from './errors.ts';
import { auditGate } from './events/audit-gate.ts';
import { eventsDesk } from './events/events-desk.ts';
import { openEvents, threadAhead } from './events/events-start.ts';
import type { Events } from './events.ts';
import { requireExpectedCaller } from './expected-caller.ts';
import { type Agent, follow, type Reloaded } from './follow.ts';
import { type FollowedConfig, followedConfig } from './gateway-config/followed-config.ts';
import { readGateway } from './gateway-config/gateway.ts';
import { lastKnownGood } from './gateway-config/last-known-good.ts';
import { bootstrapOf, type Host, openHost } from './host.ts';
import { openKeys } from './key-access.ts';
import type { Launch } from './launch.ts';
import { agentEvent } from './log-events.ts';
import { healthOf, type Vitals } from './monitoring/health.ts';
import { logLevelSwitch } from './monitoring/log-level.ts';
import { type MonitoringListener, monitoringListener } from './monitoring/monitoring-listener.ts';
import { controlSocketPath } from './monitoring/status.ts';
import { type AgentParts, statusOf } from './monitoring/status-report.ts';
import { type Supervision, supervision } from './monitoring/supervision.ts';
import { startTime } from './start-time.ts';
import { turns } from './turns.ts';
import { type WorkloadSecrets, workloadSecrets } from './workload-secrets.ts';

/** Only the agent's own user, and root, may ask and command it. */
const controlSocketMode = 0o600;

/** The part of the stop time-out that draining may take; the rest is for closing what is open. */
const drainShare = 0.8;

/** In an agent that runs by the copy of its gateway config: what reading all secrets of Secrets Manager may take. */
const secretsMsMaxByCopy = 20_000;

/** What an agent is started for, if not for itself alone. */
export interface Attended {
  /** Goes on while the agent does, from when it is ready. Its signals are not the agent's. */
  attend(ready: Ready, signal: AbortSignal): Promise<void>;
  /** The part of the stop time-out that draining may take. */
  readonly drainShare: number;
}

/** An agent that is up, for what it attends. */
export interface Ready {
  readonly gateway: GatewayConfig;
  readonly workload: Pick<WorkloadSecrets, 'value'>;
  readonly events: Pick<Events, 'output'> | undefined;
  readonly stopTimeoutSeconds: number;
  readonly runtimeDirectory: string;
  readonly log: Log;
}

/**
 * Runs the agent until `stop` aborts and all is drained and closed. Throws the first error that it cannot live with:
 * CONFIG_…, GATEWAY_CONFIG_…, CREDENTIALS_…, SECRET_… (of the gateway config itself), KEY_…, STATE_…, EVENTS_….
 */
export async function run(launch: Launch, stop: AbortSignal, attended?: Attended): Promise<void> {
  const bootstrap = bootstrapOf(launch);
  const secretName = requireSecretName(bootstrap.config);
  const host = openHost(launch, bootstrap);
  const { log } = host.recorder;

  log(
    agentEvent('agent.starting', { name: bootstrap.config.name, version: launch.version, pid: process.pid }),
  );
  await live(host, secretName, stop, attended);
  log(agentEvent('agent.stopped', {}));
}

/** Start, life and stop. What was opened is closed in reverse order, however it ends. */
async function live(
  host: Host,
  secretName: string,
  stop: AbortSignal,
  attended: Attended | undefined,
): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const { log } = host.recorder;
  const logLevel = logLevelSwitch({
    logger: host.logger,
    configured: host.bootstrap.config.logLevel,
    log,
  });
  if (attended === undefined) onDebugSignal(() => logLevel.toggleDebug('signal'));
  const parts: AgentParts = { host, startedAt: host.launch.clock.now(), phase: 'starting', logLevel };
  const reloads = attended === undefined ? hangUps() : noHangUps;
  try {
    const agent = await start(parts, secretName, attended, opened, stop);
    await follow(agent, reloads, stop);
    log(agentEvent('agent.stopping', { cause: String(stop.reason?.message) }));
  } catch (error) {
    // Told to stop while it was still starting: nothing went wrong.
    if (stop.aborted && error === stop.reason) return;
    log(agentEvent('agent.failed', { error: reportOf(error) }));
    throw error;
  } finally {
    parts.phase = 'stopping';
  }
}

/** Brings the agent up in the order of docs/architecture.md; each part is closed by `opened`. */
async function start(
  parts: AgentParts,
  secretName: string,
  attended: Attended | undefined,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Agent> {
  const { host } = parts;
  const { config: bootstrap } = host.bootstrap;
  const { clock } = host.launch;
  const { recorder } = host;
  const { log } = recorder;
  const time = startTime({ clock, log });
  parts.startTime = time;
  opened.defer(() => host.aws.close());
  opened.defer(() => host.roles.close());

  await ensureRuntimeDirectory(bootstrap.runtimeDirectory);
  const state = await lockStateDirectory(bootstrap.stateDirectory);
  opened.defer(() => state.release());
  parts.hostId = state.hostId;
  // Its values are wanted until everything else is closed.
  opened.defer(() => parts.workload?.close());
  const thread = threadAhead(state);
  opened.defer(async () => {
    await thread?.terminate();
  });
  // Loaded while the credentials are under way; what is wrong with it is said where it is used.
  host.aws.secretsManager().catch(() => undefined);

  const vitals = vitalsOf(parts);
  const supervised = supervisionOf(parts, vitals);
  const inTurn = turns();
  const reload = async (by: string, sig: AbortSignal): Promise<Reloaded> => {
    if (parts.phase !== 'ready') throw agentError('AGENT_NOT_READY', { phase: parts.phase });
    log(agentEvent('agent.reload-requested', { by }));
    return inTurn(() =>
      supervised.reload(async () => {
        // Whoever mended the credentials does not want to wait for the next try.
        host.denials.retry();
        await host.credentials.retry(sig);
        await host.roles.retry(sig);
        return refresh(config, workload, sig);
      }),
    );
  };
  const monitoring: Monitoring = {
    health: healthOf(vitals, clock),
    metrics: async () => {
      const { metricsPage } = await import('./monitoring/metrics.ts');
      return metricsPage(await statusOf(parts));
    },
  };
  const control = await listenOnSocket(
    controlSocketPath(bootstrap.runtimeDirectory),
    controlSocketMode,
    controlRoutes({
      ...monitoring,
      status: () => statusOf(parts),
      reload: (sig) => reload('control socket', sig),
      logLevel: () => parts.logLevel.state(),
      setLogLevel: (level) => parts.logLevel.set(level, 'control socket'),
      ...eventsDesk(parts),
    }),
  );
  opened.defer(() => control.close());
  const listener = await listenerOf(parts, monitoring);
  opened.defer(() => listener?.close());

  await time.part('credentials', signal, async (within) => {
    await host.credentials.current(within);
    await requireExpectedCaller(host, within);
  });
  const certificate = await certificateOf(host);
  if (certificate !== undefined) parts.certificate = certificate;
  const copy = lastKnownGood(host, state, secretName);
  const config = followedConfig({
    secretName,
    copy,
    clock,
    log,
    leftMs: () => time.left(),
    read: (sig) => readGateway(host, secretName, sig),
    async apply(next, sig) {
      await workload.configure(next, sig);
      await consumers.configure(next.credentialEndpoints, sig);
    },
  });
  const gateway = await time.part('gateway config', signal, (within) => config.start(within));
  parts.config = config;

  const keys = await time.part('KMS', signal, (within) => openKeys(host, gateway.keys, within));
  opened.defer(() => keys.close());
  parts.keys = keys;
  const keeper = copy.keeper(keys.dataKeys);
  parts.copy = keeper;
  config.keptBy(keeper);
  const events = await openEvents(host, state, keys, gateway.events, thread, time, signal);
  recorder.auditTo((record) => events?.audit(record));
  if (events !== undefined) {
    parts.events = events;
    opened.defer(() =>
      events.stop(bootstrap.stopTimeoutSeconds * 1000 * (attended?.drainShare ?? drainShare)),
    );
  }
  // Closed after whoever serves consumers and before the audit's way out.
  const reads = consumerReads({ clock, log });
  opened.defer(() => reads.close());

  const gate = auditGate(gateway.audit, events);
  const workload = workloadSecrets(host, keys, {
    gate,
    events,
    roundMsMax(source) {
      const left = time.leftForSecrets() ?? Infinity;
      // It is away: no consumer waits until every secret was asked for in vain.
      const isAway = source === 'secretsManager' && config.state().lastKnownGood !== undefined;
      return isAway ? Math.min(secretsMsMaxByCopy, left) : left;
    },
  });
  parts.workload = workload;
  await time.wait('secrets', time.leftForSecrets() ?? 0, () => workload.configure(gateway, signal));
  const consumers = consumersOf(host, reads, gate, events);
  parts.consumers = consumers;
  opened.defer(() => consumers.close());
  await consumers.configure(gateway.credentialEndpoints, signal);

  time.over();
  parts.phase = 'ready';
  const { state: readiness } = await statusOf(parts);
  const configVersion = config.state().versionId;
  const startMs = Math.round(clock.monotonic());
  const { name } = bootstrap;
  log(agentEvent('agent.ready', { name, hostId: state.hostId, configVersion, state: readiness, startMs }));
  flushCompiledCode();
  const { stopTimeoutSeconds, runtimeDirectory } = bootstrap;
  const ready: Ready = { gateway, workload, events, stopTimeoutSeconds, runtimeDirectory, log };
  // The last to be opened, so the first to happen at a stop.
  opened.defer(() => supervised.stopping(bootstrap.stopTimeoutSeconds * 1000));
  await supervised.ready();
  return {
    clock,
    credentials: host.credentials,
    certificate,
    config,
    copy: keeper,
    refreshConfigCron: bootstrap.gatewayConfig.refreshCron,
    workload,
    consumers,
    keyExpiry: keys.expiry,
    reads,
    events,
    inTurn,
    supervised,
    monitoring: listener,
    attended: attended && ((sig) => attended.attend(ready, sig)),
    openFiles: openFilesWatch(ownOpenFiles, { clock, log }),
    reload,
  };
}

/** The watch over this host's certificate; undefined where its identity is none, whatever else is configured. */
async function certificateOf({
  bootstrap,
  chain,
  launch,
  recorder,
  awsClock,
}: Host): Promise<CertificateWatch | undefined> {
  const { rolesAnywhere } = bootstrap.config.credentials;
  if (rolesAnywhere === undefined || chain.answered !== 'roles-anywhere') return undefined;
  const { certificateWatch } = await import('../identity/certificate-watch.ts');
  const { env } = launch;
  return certificateWatch(rolesAnywhere, { env, clock: awsClock, log: recorder.log, run: runCommand });
}

/** Undefined where the bootstrap config does not ask for it. */
async function listenerOf(
  parts: AgentParts,
  monitoring: Monitoring,
): Promise<MonitoringListener | undefined> {
  const { launch, bootstrap, recorder } = parts.host;
  const { listen: wanted } = bootstrap.config.monitoring;
  if (wanted === undefined) return undefined;
  const { listenOnLoopback } = await import('../api/loopback-server.ts');
  const listener = monitoringListener(wanted, {
    listen: listenOnLoopback,
    routes: monitoringRoutes(monitoring),
    clock: launch.clock,
    log: recorder.log,
  });
  parts.monitoring = listener;
  await listener.open();
  return listener;
}

function monotonicUsec(): bigint {
  return process.hrtime.bigint() / 1000n;
}

function vitalsOf(parts: AgentParts): Vitals {
  return { condition: () => statusOf(parts), isHealthy: () => parts.events?.isWedged !== true };
}

function supervisionOf(parts: AgentParts, vitals: Vitals): Supervision {
  const { launch, recorder } = parts.host;
  const { log } = recorder;
  return supervision({
    notify: notifySystemd({ env: launch.env, pid: process.pid, monotonicUsec, runCommand, log }),
    ...vitals,
    clock: launch.clock,
    log,
  });
}

/** Reads the gateway config again and follows it, then the secrets. What fails is said and tried again later. */
async function refresh(
  config: FollowedConfig,
  workload: WorkloadSecrets,
  signal: AbortSignal,
): Promise<Reloaded> {
  const outcome = await config.refresh(signal);
  // A config that is applied has every secret read.
  if (outcome !== 'applied') await workload.refresh(signal);
  return { config: outcome };
}
