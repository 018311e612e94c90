import { controlRoutes } from '../api/control.ts';
import { listenOnSocket } from '../api/socket-server.ts';
import { reportOf } from '../base/errors.ts';
import { runTasks } from '../base/task-group.ts';
import { requireSecretName } from '../config/bootstrap.ts';
import { ensureRuntimeDirectory } from '../system/runtime-directory.ts';
import { hangUps } from '../system/signals.ts';
import { lockStateDirectory } from '../system/state-directory.ts';
import { auditGate } from './audit-gate.ts';
import type { Events } from './events.ts';
import { openEvents } from './events-start.ts';
import { type FollowedConfig, followedConfig } from './followed-config.ts';
import { readGateway } from './gateway.ts';
import { bootstrapOf, type Host, openHost } from './host.ts';
import { openKeys } from './key-access.ts';
import type { Launch } from './launch.ts';
import { agentEvent } from './log-events.ts';
import { runOnSchedule } from './schedule.ts';
import { controlSocketPath } from './status.ts';
import { type AgentParts, statusOf } from './status-report.ts';
import { type InTurn, turns } from './turns.ts';
import { type WorkloadSecrets, workloadSecrets } from './workload-secrets.ts';

/** Only the agent's own user, and root, may ask and command it. */
const controlSocketMode = 0o600;

/** The part of the stop time-out that draining may take; the rest is for closing what is open. */
const drainShare = 0.8;

/**
 * Runs the agent until `stop` aborts and all is drained and closed. Throws the first error that it cannot live with:
 * CONFIG_…, GATEWAY_CONFIG_…, CREDENTIALS_…, SECRET_… (of the gateway config itself), KEY_…, STATE_…, EVENTS_….
 */
export async function run(launch: Launch, stop: AbortSignal): Promise<void> {
  const bootstrap = bootstrapOf(launch);
  const secretName = requireSecretName(bootstrap.config);
  const host = openHost(launch, bootstrap);
  const { log } = host.recorder;

  log(
    agentEvent('agent.starting', { name: bootstrap.config.name, version: launch.version, pid: process.pid }),
  );
  await live(host, secretName, stop);
  log(agentEvent('agent.stopped', {}));
}

/** Start, life and stop. What was opened is closed in reverse order, however it ends. */
async function live(host: Host, secretName: string, stop: AbortSignal): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const { log } = host.recorder;
  const reloads = hangUps(stop);
  try {
    const agent = await start(host, secretName, opened, stop);
    await follow(agent, reloads, stop);
    log(agentEvent('agent.stopping', {}));
  } catch (error) {
    // Told to stop while it was still starting: nothing went wrong.
    if (stop.aborted && error === stop.reason) return;
    log(agentEvent('agent.failed', { error: reportOf(error) }));
    throw error;
  }
}

/** An agent that is up. */
interface Agent {
  readonly host: Host;
  readonly config: FollowedConfig;
  readonly workload: WorkloadSecrets;
  readonly events: Events | undefined;
  readonly inTurn: InTurn;
  /** Reads config and secrets again. */
  reload(by: string, signal: AbortSignal): Promise<void>;
}

/** Brings the agent up in the order of docs/architecture.md; each part is closed by `opened`. */
async function start(
  host: Host,
  secretName: string,
  opened: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Agent> {
  const { config: bootstrap } = host.bootstrap;
  const { clock } = host.launch;
  const { recorder } = host;
  const { log } = recorder;
  opened.defer(() => host.aws.close());

  await ensureRuntimeDirectory(bootstrap.runtimeDirectory);
  const state = await lockStateDirectory(bootstrap.stateDirectory);
  opened.defer(() => state.release());

  const parts: AgentParts = { host, hostId: state.hostId, startedAt: clock.now(), phase: 'starting' };
  opened.defer(() => {
    parts.phase = 'stopping';
  });
  const inTurn = turns();
  const reload = (by: string, sig: AbortSignal): Promise<void> => {
    log(agentEvent('agent.reload-requested', { by }));
    return inTurn(() => refresh(parts, sig));
  };
  const control = await listenOnSocket(
    controlSocketPath(bootstrap.runtimeDirectory),
    controlSocketMode,
    controlRoutes({ status: () => statusOf(parts), reload: (sig) => reload('control socket', sig) }),
  );
  opened.defer(() => control.close());

  await host.credentials.current(signal);
  const config = followedConfig({
    secretName,
    clock,
    log,
    read: (sig) => readGateway(host, secretName, sig),
    apply: async (next, sig) => parts.workload?.configure(next, sig),
  });
  const gateway = await config.start(signal);
  parts.config = config;

  const keys = await openKeys(host, gateway.keys, signal);
  const events = await openEvents(host, state, keys, gateway.events, signal);
  if (events !== undefined) {
    parts.events = events;
    recorder.auditTo((record) => events.audit(record));
    opened.defer(async () => {
      await events.stop(bootstrap.stopTimeoutSeconds * 1000 * drainShare);
      recorder.auditTo(undefined);
    });
  }

  const workload = workloadSecrets(host, keys, auditGate(gateway.audit, events));
  opened.defer(() => workload.close());
  parts.workload = workload;
  await workload.configure(gateway, signal);

  parts.phase = 'ready';
  const { state: readiness } = await statusOf(parts);
  const configVersion = config.state().versionId;
  const startMs = Math.round(clock.monotonic());
  const { name } = bootstrap;
  log(agentEvent('agent.ready', { name, hostId: state.hostId, configVersion, state: readiness, startMs }));
  return { host, config, workload, events, inTurn, reload };
}

/** The life of an agent that is up: everything that goes on side by side, until `stop` or the first failure. */
async function follow(agent: Agent, reloads: AsyncIterable<void>, stop: AbortSignal): Promise<void> {
  const { host, config, workload, events, inTurn } = agent;
  const { clock } = host.launch;
  const { refreshCron } = host.bootstrap.config.gatewayConfig;
  const refreshSecretsCron = () => config.current().schedules.refreshSecretsCron;
  const refreshConfig = (signal: AbortSignal) => inTurn(() => config.refresh(signal));
  const refreshSecrets = (signal: AbortSignal) => inTurn(() => workload.refresh(signal));

  await runTasks(
    [
      (signal) => host.credentials.run(signal),
      (signal) => workload.run(signal),
      (signal) => untilDeath(events, signal),
      (signal) => runOnSchedule(() => refreshCron, refreshConfig, clock, signal),
      (signal) => runOnSchedule(refreshSecretsCron, refreshSecrets, clock, signal),
      async (signal) => {
        for await (const _ of reloads) await agent.reload('signal', signal);
      },
    ],
    stop,
  );
}

/** Rejects when the events worker dies; resolves when `signal` aborts, for it is stopped only after everything else. */
function untilDeath(events: Events | undefined, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
    events?.done.catch(reject);
  });
}

/** Reads the gateway config again and follows it, then the secrets. What fails is said and tried again later. */
async function refresh({ config, workload }: AgentParts, signal: AbortSignal): Promise<void> {
  const outcome = await config?.refresh(signal);
  if (outcome !== 'applied') await workload?.refresh(signal);
}
