import {
  type CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  GetLogEventsCommand,
  type GetLogEventsCommandOutput,
} from '@aws-sdk/client-cloudwatch-logs';
import { GatehouseError } from '../../base/errors.ts';
import type { StreamName } from '../batch.ts';
import { eventsError } from '../errors.ts';
import { cloudwatchError, isNamed } from '../sink/cloudwatch-errors.ts';

type Client = Pick<CloudWatchLogsClient, 'send'>;

/** Events of one reading: what a verification holds in memory is some 300 bytes for each. */
export const eventsReadMax = 1_000_000;

/**
 * The messages of a stream, oldest first, from `sinceMs` on; none where there is no such group or stream.
 * @throws EVENTS_AUDIT_UNREADABLE, EVENTS_AUDIT_TOO_LONG, EVENTS_UNREACHABLE, EVENTS_THROTTLED, EVENTS_CREDENTIALS_REFUSED
 */
export async function* readMessages(
  client: Client,
  stream: StreamName,
  {
    sinceMs,
    eventsMax = eventsReadMax,
  }: { readonly sinceMs?: number | undefined; readonly eventsMax?: number },
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  let token: string | undefined;
  let read = 0;
  for (;;) {
    const page = await pageOf(client, stream, sinceMs, token, signal);
    if (page === undefined) return;
    for (const { message } of page.events ?? []) {
      read += 1;
      if (read > eventsMax) throw eventsError('EVENTS_AUDIT_TOO_LONG', { ...stream, eventsMax });
      if (message !== undefined) yield message;
    }
    // A page may be empty before the end; only the same token again says that this is it.
    if (page.nextForwardToken === undefined || page.nextForwardToken === token) return;
    token = page.nextForwardToken;
  }
}

async function pageOf(
  client: Client,
  stream: StreamName,
  sinceMs: number | undefined,
  token: string | undefined,
  signal: AbortSignal,
): Promise<GetLogEventsCommandOutput | undefined> {
  const { logGroup, logStream } = stream;
  const command = new GetLogEventsCommand({
    logGroupName: logGroup,
    logStreamName: logStream,
    startFromHead: true,
    ...(sinceMs === undefined ? {} : { startTime: sinceMs }),
    ...(token === undefined ? {} : { nextToken: token }),
  });
  try {
    return await client.send(command, { abortSignal: signal });
  } catch (error) {
    signal.throwIfAborted();
    if (isNamed(error, 'ResourceNotFoundException')) return undefined;
    throw readingError(error, stream);
  }
}

function readingError(error: unknown, stream: StreamName): GatehouseError {
  const known = cloudwatchError(error, stream);
  return known.code === 'EVENTS_DENIED'
    ? eventsError('EVENTS_AUDIT_UNREADABLE', { ...stream }, error)
    : known;
}

/** For how many days a log group keeps events; undefined: for ever, or it may not be asked. */
export async function retentionDaysOf(
  client: Client,
  logGroup: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const command = new DescribeLogGroupsCommand({ logGroupNamePrefix: logGroup, limit: 1 });
    const { logGroups = [] } = await client.send(command, { abortSignal: signal });
    return logGroups.find(({ logGroupName }) => logGroupName === logGroup)?.retentionInDays;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
