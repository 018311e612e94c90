import { join } from 'node:path';
import { apiError } from '../api/errors.ts';
import { askSocket } from '../api/socket-client.ts';
import { exitCode } from '../base/exit-code.ts';
import type { DeliveryStatus } from '../delivery/deliveries.ts';
import type { EventsStatus } from '../events/status.ts';
import type { SecretStatus } from '../secrets/secrets.ts';
import type { FollowedConfigState } from './followed-config.ts';
import { bootstrapOf } from './host.ts';
import type { Launch } from './launch.ts';

/** Where an agent is in its life. Degraded: it works, but a secret, a delivery or its renewal fails. */
export type AgentState = 'starting' | 'ready' | 'degraded' | 'stopping';

/** The credentials as `status` shows them: never a secret. */
export interface CredentialsStatus {
  readonly source?: string;
  readonly accessKeyId?: string;
  readonly expiration?: string;
  readonly failing?: { readonly code: string; readonly since: string; readonly attempts: number };
}

/** What `control.sock` answers to `GET /status`. */
export interface AgentStatus {
  readonly state: AgentState;
  /** What of it fails: `secret database-password`, `delivery /run/…`, `credentials`, `config`. */
  readonly failing: readonly string[];
  readonly name: string;
  readonly hostId?: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly credentials: CredentialsStatus;
  readonly config?: FollowedConfigState;
  readonly secrets: readonly SecretStatus[];
  readonly deliveries: readonly DeliveryStatus[];
  readonly events?: EventsStatus;
  /** How often each log event happened since the start. */
  readonly counters: Readonly<Record<string, number>>;
}

const statusTimeoutMs = 5_000;

/**
 * Asks the running agent of this host for its state.
 * @throws AGENT_NOT_RUNNING, AGENT_ACCESS_DENIED, AGENT_REPLY_INVALID, DEADLINE_EXCEEDED
 */
export async function status(launch: Launch, signal: AbortSignal): Promise<AgentStatus> {
  const { config } = bootstrapOf(launch);
  const socket = controlSocketPath(config.runtimeDirectory);
  const { status: code, body } = await launch.clock.deadline(statusTimeoutMs, 'status', signal, (within) =>
    askSocket(socket, 'GET', '/status', within),
  );
  if (code !== 200 || !isAgentStatus(body)) throw apiError('AGENT_REPLY_INVALID', { socket, status: code });
  return body;
}

/** Whoever may own the control socket is trusted; this tells an agent from another program or version. */
function isAgentStatus(body: unknown): body is AgentStatus {
  return typeof body === 'object' && body !== null && 'state' in body && 'counters' in body;
}

export function controlSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'control.sock');
}

/** The exit code of `gatehouse status`: ready and degraded are 0, anything else is "not yet". */
export function exitCodeOf({ state }: AgentStatus): number {
  return state === 'ready' || state === 'degraded' ? exitCode.done : exitCode.tryAgain;
}
