import { join } from 'node:path';
import type { LogLevelState } from '../api/control.ts';
import { apiError } from '../api/errors.ts';
import type { Health, Probe } from '../api/monitoring.ts';
import { askSocket } from '../api/socket-client.ts';
import { exitCode } from '../base/exit-code.ts';
import type { LogLevel } from '../base/log-events.ts';
import type { DeliveryStatus } from '../delivery/deliveries.ts';
import type { EventsStatus } from '../events/status.ts';
import type { SecretStatus } from '../secrets/secrets.ts';
import type { ConsumerStatus } from './consumers.ts';
import type { FollowedConfigState } from './followed-config.ts';
import { bootstrapOf } from './host.ts';
import type { Launch } from './launch.ts';
import type { MonitoringStatus } from './monitoring.ts';
import type { NotApplied } from './not-applied.ts';
import type { RecentError } from './recorder.ts';

/** Where an agent is in its life. Degraded: it works, but a secret, a delivery or its renewal fails. */
export type AgentState = 'starting' | 'ready' | 'degraded' | 'stopping';

/** The credentials as `status` shows them: never a secret. */
export interface CredentialsStatus {
  readonly source?: string;
  readonly accessKeyId?: string;
  readonly expiration?: string;
  /** When those in hand were loaded. */
  readonly renewedAt?: string;
  /** They have expired and are used on until then: their source has no newer ones. */
  readonly extendedUntil?: string;
  /** Keys without an end: a host should hold none. */
  readonly isLongTerm?: true;
  /** Sources that were asked before and did not apply, each with why. */
  readonly notApplied?: readonly NotApplied[];
  /** AWS denies them, and newer ones too. */
  readonly denied?: { readonly service: string; readonly awsError: string; readonly since: string };
  readonly failing?: { readonly code: string; readonly since: string; readonly attempts: number };
}

/** What `control.sock` answers to `GET /status`. */
export interface AgentStatus {
  readonly state: AgentState;
  /** What of it fails: `secret database-password`, `delivery /run/…`, `consumer app`, `credentials`, `config`, `monitoring`. */
  readonly failing: readonly string[];
  readonly name: string;
  readonly hostId?: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly credentials: CredentialsStatus;
  /** The KMS key that wraps what this host keeps; absent where the gateway config names none. */
  readonly bindingKey?: {
    readonly keyArn: string;
    /** ISO 8601; absent where its material does not expire. */
    readonly materialExpiresAt?: string;
  };
  /** How far AWS's clock is ahead of this host's, negative when behind; absent while they agree. */
  readonly clockSkewSeconds?: number;
  readonly config?: FollowedConfigState;
  readonly secrets: readonly SecretStatus[];
  readonly deliveries: readonly DeliveryStatus[];
  readonly consumers: readonly ConsumerStatus[];
  /** Requests for credentials that were refused since the start. */
  readonly refusedReads: number;
  readonly events?: EventsStatus;
  readonly logLevel: LogLevelState;
  /** Absent where the bootstrap config asks for no such listener. */
  readonly monitoring?: MonitoringStatus;
  /** How often each log event happened since the start. */
  readonly counters: Readonly<Record<string, number>>;
  /** The newest warnings and errors, oldest first. */
  readonly lastErrors: readonly RecentError[];
}

/**
 * Asks the running agent of this host for its state.
 * @throws AGENT_NOT_RUNNING, AGENT_ACCESS_DENIED, AGENT_REPLY_INVALID, DEADLINE_EXCEEDED
 */
export async function status(launch: Launch, signal: AbortSignal): Promise<AgentStatus> {
  return askAgent(launch, { method: 'GET', path: '/status', accepts: isAgentStatus }, signal);
}

/**
 * Asks the running agent of this host whether it is up, alive or ready.
 * @throws as `status`
 */
export async function health(launch: Launch, probe: Probe, signal: AbortSignal): Promise<Health> {
  return askAgent(
    launch,
    { method: 'GET', path: `/health/${probe}`, statuses: [200, 503], accepts: isHealth },
    signal,
  );
}

/**
 * The log level of the running agent of this host, after changing it where `level` is given.
 * @throws as `status`
 */
export async function logLevel(
  launch: Launch,
  level: LogLevel | undefined,
  signal: AbortSignal,
): Promise<LogLevelState> {
  const asked: Asked<LogLevelState> =
    level === undefined
      ? { method: 'GET', path: '/log-level', accepts: isLogLevelState }
      : { method: 'POST', path: `/log-level/${level}`, accepts: isLogLevelState };
  return askAgent(launch, asked, signal);
}

interface Asked<Body> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Of an answer; 200 where none are given. */
  readonly statuses?: readonly number[];
  /** Whoever may own the control socket is trusted; this tells an agent from another program or version. */
  readonly accepts: (body: unknown) => body is Body;
}

const answerTimeoutMs = 5_000;

async function askAgent<Body>(
  launch: Launch,
  { method, path, statuses = [200], accepts }: Asked<Body>,
  signal: AbortSignal,
): Promise<Body> {
  const { config } = bootstrapOf(launch);
  const socket = controlSocketPath(config.runtimeDirectory);
  const { status: code, body } = await launch.clock.deadline(answerTimeoutMs, 'status', signal, (within) =>
    askSocket(socket, method, path, within),
  );
  if (!statuses.includes(code) || !accepts(body)) {
    throw apiError('AGENT_REPLY_INVALID', { socket, status: code });
  }
  return body;
}

function isAgentStatus(body: unknown): body is AgentStatus {
  return typeof body === 'object' && body !== null && 'state' in body && 'logLevel' in body;
}

function isHealth(body: unknown): body is Health {
  return typeof body === 'object' && body !== null && 'isOk' in body;
}

function isLogLevelState(body: unknown): body is LogLevelState {
  return typeof body === 'object' && body !== null && 'level' in body && 'configured' in body;
}

export function controlSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'control.sock');
}

/** The exit code of `gatehouse status`: ready and degraded are 0, anything else is "not yet". */
export function exitCodeOf({ state }: AgentStatus): number {
  return state === 'ready' || state === 'degraded' ? exitCode.done : exitCode.tryAgain;
}
