import type { Clock } from '../base/clock.ts';
import { runTasks } from '../base/task-group.ts';
import type { CertificateWatch } from '../identity/certificate-watch.ts';
import type { RefreshingCredentials } from '../identity/refreshing.ts';
import type { MaterialExpiry } from '../keys/material-expiry.ts';
import type { OpenFilesWatch } from '../system/open-files.ts';
import type { HangUps } from '../system/signals.ts';
import type { ConsumerReads } from './consumers/consumer-reads.ts';
import type { Consumers } from './consumers.ts';
import type { Events } from './events.ts';
import type { CopyKeeper } from './gateway-config/copy-keeper.ts';
import type { FollowedConfig, Refreshed } from './gateway-config/followed-config.ts';
import type { MonitoringListener } from './monitoring/monitoring-listener.ts';
import type { Supervision } from './monitoring/supervision.ts';
import { runOnSchedule } from './schedule.ts';
import type { InTurn } from './turns.ts';
import type { WorkloadSecrets } from './workload-secrets.ts';

/** An agent that is up. */
export interface Agent {
  readonly clock: Clock;
  readonly credentials: Pick<RefreshingCredentials, 'run'>;
  /** Where the host's identity is a certificate. */
  readonly certificate: Pick<CertificateWatch, 'run'> | undefined;
  readonly config: Pick<FollowedConfig, 'current' | 'refresh' | 'untilFetched'>;
  /** Keeps the sealed copy of the gateway config. */
  readonly copy: Pick<CopyKeeper, 'run'>;
  /** When the gateway config is read again. */
  readonly refreshConfigCron: string;
  readonly workload: Pick<WorkloadSecrets, 'run' | 'refresh'>;
  readonly consumers: Pick<Consumers, 'run'>;
  readonly reads: Pick<ConsumerReads, 'run'>;
  /** Watches over the end of imported key material. */
  readonly keyExpiry: Pick<MaterialExpiry, 'run'> | undefined;
  readonly events: Pick<Events, 'done'> | undefined;
  readonly inTurn: InTurn;
  readonly supervised: Pick<Supervision, 'watch'>;
  readonly monitoring: Pick<MonitoringListener, 'run'> | undefined;
  /** What goes on beside all this in an agent that was started for it: a workload. */
  readonly attended: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly openFiles: OpenFilesWatch;
  /** Reads config and secrets again. */
  reload(by: string, signal: AbortSignal): Promise<Reloaded>;
}

/** What came of a reload. */
export interface Reloaded {
  readonly config: Refreshed;
}

/** The life of an agent that is up: everything that goes on side by side, until `stop` or the first failure. */
export async function follow(agent: Agent, reloads: HangUps, stop: AbortSignal): Promise<void> {
  const { clock, config, workload, inTurn } = agent;
  const refreshSecretsCron = () => config.current().schedules.refreshSecretsCron;
  const refreshConfig = (signal: AbortSignal) => inTurn(() => config.refresh(signal));
  const refreshSecrets = (signal: AbortSignal) => inTurn(() => workload.refresh(signal));

  await runTasks(
    [
      (signal) => agent.credentials.run(signal),
      async (signal) => agent.certificate?.run(signal),
      (signal) => workload.run(signal),
      (signal) => agent.consumers.run(signal),
      (signal) => agent.reads.run(signal),
      async (signal) => agent.keyExpiry?.run(signal),
      (signal) => untilDeath(agent.events, signal),
      async (signal) => agent.attended?.(signal),
      (signal) => agent.supervised.watch(signal),
      async (signal) => agent.monitoring?.run(signal),
      (signal) => agent.openFiles.run(signal),
      (signal) => agent.copy.run(signal),
      (signal) => config.untilFetched(refreshConfig, signal),
      (signal) => runOnSchedule(() => agent.refreshConfigCron, refreshConfig, clock, signal),
      (signal) => runOnSchedule(refreshSecretsCron, refreshSecrets, clock, signal),
      async (signal) => {
        for (;;) {
          await reloads.next(signal);
          await agent.reload('signal', signal);
        }
      },
    ],
    stop,
  );
}

/** Rejects when the events worker dies; resolves when `signal` aborts, for it is stopped only after everything else. */
function untilDeath(events: Agent['events'], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
    events?.done.catch(reject);
  });
}
