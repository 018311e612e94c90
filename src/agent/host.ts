import { hostname } from 'node:os';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { createLogger } from '../base/logger.ts';
import { loadBootstrap, type Origins, requireRegion } from '../config/bootstrap.ts';
import { configEvent } from '../config/log-events.ts';
import { type Chain, chain } from '../identity/chain.ts';
import { type Denials, denials } from '../identity/denials.ts';
import { type RefreshingCredentials, refreshing } from '../identity/refreshing.ts';
import { sessionNameOf } from '../identity/session-name.ts';
import { credentialSources } from '../identity/sources.ts';
import { runCommand } from '../system/command.ts';
import { type AssumedRoles, assumedRoles } from './aws/assumed-roles.ts';
import { ssoClientConfig } from './aws/aws-client.ts';
import { type AwsClients, awsClients, stsFor } from './aws/aws-clients.ts';
import { awsPost } from './aws/aws-post.ts';
import { awsReach } from './aws/aws-reach.ts';
import { type ClockSkew, clockSkew, corrected } from './aws/clock-skew.ts';
import { lateAfterMs, slowCalls } from './aws/slow-calls.ts';
import { type BootstrapConfig, bootstrapSchema } from './config.ts';
import type { Launch } from './launch.ts';
import { agentEvent } from './log-events.ts';
import { createRecorder, type Recorder } from './recorder.ts';

/** The bootstrap config with where each value came from. */
export interface Bootstrap {
  readonly config: BootstrapConfig;
  readonly origins: Origins;
  readonly file?: string;
  readonly unknownVariables: readonly string[];
}

/** What every command that talks to AWS needs. */
export interface Host {
  readonly launch: Launch;
  readonly bootstrap: Bootstrap;
  readonly region: string;
  readonly logger: Logger;
  readonly recorder: Recorder;
  readonly credentials: RefreshingCredentials;
  /** Whether AWS takes them. */
  readonly denials: Denials;
  /** Who answered for the credentials, and who did not apply. */
  readonly chain: Chain;
  readonly aws: AwsClients;
  /** What it may reach under other roles. */
  readonly roles: AssumedRoles;
  readonly clockSkew: ClockSkew;
  /** Shows AWS's time: by it what AWS gives expires. */
  readonly awsClock: Clock;
}

/** Loads the bootstrap config as file, environment and flags of this launch give it. */
export function bootstrapOf(launch: Launch, bytes?: Uint8Array): Bootstrap {
  const { flags, env } = launch;
  return loadBootstrap(bootstrapSchema, {
    file: flags.config,
    bytes,
    flags: { 'secret-name': flags.secretName, 'log-level': flags.logLevel },
    env,
    uid: process.getuid?.() ?? 0,
    hostname: hostname(),
  });
}

/** Makes a host out of its bootstrap config. No call leaves the machine before credentials are first asked for. */
export function openHost(launch: Launch, bootstrap: Bootstrap): Host {
  const { config } = bootstrap;
  const { env, clock } = launch;
  const region = requireRegion(config);
  const logger = createLogger({
    level: config.logLevel,
    form: launch.logForm,
    write: (line) => launch.writeLog(line),
  });
  let credentials: RefreshingCredentials | undefined;
  const recorder = createRecorder({ logger, clock, caller: () => credentials?.state() ?? {} });
  const { log } = recorder;
  if (bootstrap.unknownVariables.length > 0) {
    log(configEvent('config.variable-unknown', { variables: bootstrap.unknownVariables }));
  }

  const skew = clockSkew(clock, log);
  const awsClock = corrected(clock, skew);
  const serverTime = (date: string): void => skew.observe(date);
  const { onLateCall = (call) => log(agentEvent('aws.call-waits', { ...call, afterMs: lateAfterMs })) } =
    launch;
  const slow = slowCalls(clock, onLateCall);
  const sources = chain(
    credentialSources(config.credentials, {
      env,
      runCommand,
      clock: awsClock,
      log,
      sts: (by) => stsFor(by, { env, region }),
      ssoClientConfig: () => ssoClientConfig(env),
      sessionName: sessionNameOf(config.name),
      rolesAnywhere() {
        const reach = awsReach('ROLESANYWHERE', env);
        return { endpoint: reach, post: awsPost(reach), serverTime };
      },
    }),
  );
  const refreshed = refreshing(sources, { clock: awsClock, log });
  credentials = refreshed;
  const denied = denials(refreshed, { clock, log });
  // The SDK asks without a signal: what it waits for is bounded by the sources' own time limits.
  const unaborted = new AbortController().signal;
  const aws = awsClients({
    env,
    region,
    credentials: () => refreshed.current(unaborted),
    denials: { ...denied, renew: (denial) => denied.renew(denial, unaborted) },
    serverTime,
    slow,
  });
  const roles = assumedRoles({
    hostName: config.name,
    clock: awsClock,
    log,
    host: () => aws,
    reach: { env, region, serverTime, slow },
  });
  return {
    launch,
    bootstrap,
    region,
    logger,
    recorder,
    credentials: refreshed,
    denials: denied,
    chain: sources,
    aws,
    roles,
    clockSkew: skew,
    awsClock,
  };
}
