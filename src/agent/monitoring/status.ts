import { join } from 'node:path';
import type { LogLevelState } from '../../api/control.ts';
import { apiError } from '../../api/errors.ts';
import type { Health, Probe } from '../../api/monitoring.ts';
import { askSocket } from '../../api/socket-client.ts';
import type { GatehouseError } from '../../base/errors.ts';
import { exitCode } from '../../base/exit-code.ts';
import type { LogLevel } from '../../base/log-events.ts';
import type { DeliveryStatus } from '../../delivery/deliveries.ts';
import { eventsError, isEventsErrorCode } from '../../events/errors.ts';
import type { EventsStatus } from '../../events/status.ts';
import type { SecretStatus } from '../../secrets/secrets.ts';
import type { ConsumerStatus } from '../consumers.ts';
import type { CopyStatus } from '../gateway-config/copy-keeper.ts';
import type { FollowedConfigState } from '../gateway-config/followed-config.ts';
import { bootstrapOf } from '../host.ts';
import type { Launch } from '../launch.ts';
import type { NotApplied } from '../not-applied.ts';
import type { RecentError } from '../recorder.ts';
import type { StartWait } from '../start-time.ts';
import type { MonitoringStatus } from './monitoring-listener.ts';

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

/** The certificate that this host's identity is. */
export interface CertificateStatus {
  readonly path: string;
  /** In decimal. */
  readonly serialNumber: string;
  readonly expires: string;
  /** Whole days; negative once it has expired. */
  readonly daysLeft: number;
  readonly renewalFailing?: { readonly code: string; readonly since: string; readonly attempts: number };
}

/** What `control.sock` answers to `GET /status`. */
export interface AgentStatus {
  readonly state: AgentState;
  /** What of it fails: `secret database-password`, `delivery /run/…`, `consumer app`, `credentials`, `config`, `monitoring`. */
  readonly failing: readonly string[];
  /** What a start waits for; absent where it waits for nothing, and once it is over. */
  readonly waitsFor?: StartWait;
  readonly name: string;
  readonly hostId?: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly credentials: CredentialsStatus;
  /** Absent where the host's identity is no certificate. */
  readonly certificate?: CertificateStatus;
  /** The KMS key that wraps what this host keeps; absent where the gateway config names none. */
  readonly bindingKey?: {
    readonly keyArn: string;
    /** ISO 8601; absent where its material does not expire. */
    readonly materialExpiresAt?: string;
  };
  /** How far AWS's clock is ahead of this host's, negative when behind; absent while they agree. */
  readonly clockSkewSeconds?: number;
  readonly config?: FollowedConfigState;
  /** The sealed copy of it on this host; absent until the keys are open. */
  readonly configCopy?: CopyStatus;
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

export interface Asked<Body> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Of an answer; 200 where none are given. */
  readonly statuses?: readonly number[];
  /** What the answer may take. */
  readonly withinMs?: number;
  /** Whoever may own the control socket is trusted; this tells an agent from another program or version. */
  readonly accepts: (body: unknown) => body is Body;
}

const answerTimeoutMs = 5_000;

/**
 * Asks the running agent of this host.
 * @throws as `status`, and what the agent answers with where it knows the error
 */
export async function askAgent<Body>(
  launch: Launch,
  { method, path, statuses = [200], withinMs = answerTimeoutMs, accepts }: Asked<Body>,
  signal: AbortSignal,
): Promise<Body> {
  const { config } = bootstrapOf(launch);
  const socket = controlSocketPath(config.runtimeDirectory);
  const { status: code, body } = await launch.clock.deadline(withinMs, 'answer', signal, (within) =>
    askSocket(socket, method, path, within),
  );
  const refusal = errorIn(body);
  if (refusal !== undefined) throw refusal;
  if (!statuses.includes(code) || !accepts(body)) {
    throw apiError('AGENT_REPLY_INVALID', { socket, status: code });
  }
  return body;
}

/** The error that the agent answers with, again as one of ours; undefined where it is no answer of that kind. */
function errorIn(body: unknown): GatehouseError | undefined {
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined;
  const { error } = body;
  if (typeof error !== 'object' || error === null || !('code' in error) || !('details' in error))
    return undefined;
  const { code, details } = error;
  if (typeof code !== 'string' || !isEventsErrorCode(code)) return undefined;
  return eventsError(code, plainDetails(details));
}

function plainDetails(details: unknown): Record<string, string | number | boolean> {
  const plain = Object.entries(details ?? {}).flatMap(([name, value]: [string, unknown]) => {
    if (Array.isArray(value)) return [[name, value.join(', ')] as const];
    const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    return isPlain ? [[name, value] as const] : [];
  });
  return Object.fromEntries(plain);
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
