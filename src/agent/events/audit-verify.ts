import { hostname } from 'node:os';
import { join } from 'node:path';
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { requireSecretName } from '../../config/bootstrap.ts';
import { headsStream } from '../../events/audit/chain.ts';
import { eventsReadMax, readMessages, retentionDaysOf } from '../../events/audit/cloudwatch-events.ts';
import { type AuditReport, auditVerifier } from '../../events/audit/verify.ts';
import type { StreamName } from '../../events/batch.ts';
import { type DestinationRole, destinationRole } from '../../events/destination-role.ts';
import { eventsError } from '../../events/errors.ts';
import { streamNames } from '../../events/stream-names.ts';
import { callerIdentity } from '../../identity/caller.ts';
import { readRegularFile } from '../../system/files.ts';
import { agentError } from '../errors.ts';
import { readGateway } from '../gateway-config/gateway.ts';
import { bootstrapOf, type Host, openHost } from '../host.ts';
import type { Launch } from '../launch.ts';

export interface AuditVerifyRequest {
  /** Both or neither: without them every audit source of this host’s gateway config is verified. */
  readonly logGroup?: string | undefined;
  readonly logStream?: string | undefined;
  /** An ISO 8601 time, or how long ago: `90m`, `24h`, `7d`. */
  readonly since?: string | undefined;
  /** Heads known from elsewhere: `SEQUENCE:HASH`. */
  readonly heads: readonly string[];
}

/** What one stream proved. */
export interface StreamVerdict extends AuditReport, StreamName {
  /** ISO 8601; absent when all of the stream was read. */
  readonly since?: string;
  /** For how long its log group keeps events; absent when for ever, or when it may not be asked. */
  readonly retentionDays?: number;
}

/**
 * Reads audit records and their heads back from CloudWatch Logs and says what is wrong with them.
 * @throws USAGE, EVENTS_AUDIT_…, EVENTS_UNREACHABLE, EVENTS_CREDENTIALS_REFUSED, CREDENTIALS_…, CONFIG_…
 */
export async function auditVerify(
  launch: Launch,
  request: AuditVerifyRequest,
  signal: AbortSignal,
): Promise<readonly StreamVerdict[]> {
  const since = sinceOf(request.since, launch.clock.now());
  const heads = request.heads.map(headOf);
  const host = openHost(launch, bootstrapOf(launch));
  try {
    const verdicts: StreamVerdict[] = [];
    for (const { stream, role } of await streamsOf(host, request, signal)) {
      const client = await (role === undefined ? host : host.roles.as(role)).aws.logs();
      verdicts.push(await verifyStream(host, client, stream, since, heads, signal));
    }
    return verdicts;
  } finally {
    host.roles.close();
    host.aws.close();
  }
}

async function verifyStream(
  host: Host,
  client: CloudWatchLogsClient,
  stream: StreamName,
  since: Date | undefined,
  expected: ReturnType<typeof headOf>[],
  signal: AbortSignal,
): Promise<StreamVerdict> {
  const retentionDays = await retentionDaysOf(client, stream.logGroup, signal);
  const { clock } = host.launch;
  const verifier = auditVerifier({
    mayBeginLate: since !== undefined || retentionDays !== undefined,
    now: clock.now(),
  });
  const range = { sinceMs: since?.getTime(), eventsMax: eventsReadMax };
  let events = 0;
  const read = async (from: StreamName, take: (message: string) => void): Promise<void> => {
    for await (const message of readMessages(client, from, range, signal)) {
      events += 1;
      take(message);
    }
  };
  // Heads first: whatever they name had been shipped, or was on its way, before the records are read.
  await read({ ...stream, logStream: headsStream(stream.logStream) }, verifier.head);
  await read(stream, verifier.record);
  if (events === 0) throw eventsError('EVENTS_AUDIT_MISSING', { ...stream, since: since?.toISOString() });
  return {
    ...stream,
    ...(since === undefined ? {} : { since: since.toISOString() }),
    ...(retentionDays === undefined ? {} : { retentionDays }),
    ...verifier.report(expected),
  };
}

interface AuditedStream {
  readonly stream: StreamName;
  /** Whoever sends there reads there: it may be in another account. Undefined for the host itself. */
  readonly role?: DestinationRole | undefined;
}

async function streamsOf(
  host: Host,
  { logGroup, logStream }: AuditVerifyRequest,
  signal: AbortSignal,
): Promise<AuditedStream[]> {
  if (logGroup !== undefined && logStream !== undefined) return [{ stream: { logGroup, logStream } }];
  if (logGroup !== undefined || logStream !== undefined) {
    throw agentError('USAGE', { problem: '--log-group and --log-stream go together' });
  }
  const { config: bootstrap } = host.bootstrap;
  const { config } = await readGateway(host, requireSecretName(bootstrap), signal);
  const { events } = config;
  const audits = Object.entries(events?.sources ?? {}).filter(([, source]) => source.audit !== undefined);
  if (events === undefined || audits.length === 0) throw eventsError('EVENTS_AUDIT_MISSING');
  const templates = JSON.stringify([events.logGroup, events.logStream, audits]);
  const values = {
    name: bootstrap.name,
    hostname: hostname(),
    region: host.region,
    ...(templates.includes('{hostId}') ? { hostId: await hostIdIn(bootstrap.stateDirectory) } : {}),
    ...(templates.includes('{accountId}')
      ? { accountId: (await callerIdentity(await host.aws.sts(), signal)).accountId }
      : {}),
  };
  return audits.map(([name]) => ({
    stream: streamNames(name, events, values, host.recorder.log)(undefined),
    role: destinationRole(events, name),
  }));
}

async function hostIdIn(stateDirectory: string): Promise<string> {
  const bytes = await readRegularFile(join(stateDirectory, 'host-id'), { bytesMax: 64 });
  return bytes.toString('utf8').trim();
}

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

function sinceOf(text: string | undefined, now: Date): Date | undefined {
  if (text === undefined) return undefined;
  const [, amount, unit = ''] = /^(\d{1,6})([mhd])$/u.exec(text) ?? [];
  const ms = amount === undefined ? Date.parse(text) : now.getTime() - Number(amount) * (unitMs[unit] ?? 0);
  // Not before 1970: CloudWatch Logs takes no negative time.
  if (Number.isFinite(ms) && ms >= 0) return new Date(ms);
  throw agentError('USAGE', { problem: '--since takes an ISO 8601 time, or how long ago: 90m, 24h, 7d' });
}

function headOf(text: string): { readonly sequence: number; readonly hash: string } {
  const [, sequence, hash] = /^(\d{1,15}):([0-9a-f]{64})$/u.exec(text) ?? [];
  if (hash !== undefined) return { sequence: Number(sequence), hash };
  throw agentError('USAGE', { problem: '--head takes SEQUENCE:HASH, as gatehouse status --json has them' });
}
