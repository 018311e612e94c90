import {
  type CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  type PutLogEventsCommandOutput,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import type { Clock } from '../../base/clock.ts';
import { reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { type Batch, eventsOf, partOf, type StreamName } from '../batch.ts';
import { eventsEvent } from '../log-events.ts';
import type { Sink } from '../sink.ts';
import type { RefusalReason, RefusedEvent } from '../spool.ts';
import { cloudwatchError, isNamed } from './cloudwatch-errors.ts';

export interface CloudwatchLogsSinkOptions {
  /** Made with one attempt: trying again is the pipeline's. */
  readonly client: CloudWatchLogsClient;
  readonly createLogGroup: boolean;
  /** Retention in days of the log groups that this sink creates. */
  readonly retentionDays?: number | undefined;
  readonly retentionWishes: RetentionWishes;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/**
 * Log groups that this agent creates and whose retention is not set yet. Kept durably from before the group exists:
 * the two are separate calls, and a crash between them would leave a group that keeps its events for ever.
 */
export interface RetentionWishes {
  list(): readonly string[];
  add(logGroup: string): Promise<void>;
  remove(logGroup: string): Promise<void>;
}

const retentionRetryMs = 10 * 60 * 1000;

/**
 * PutLogEvents. A missing group or stream is created; what the answer calls rejected is returned; a batch that is
 * invalid is halved until the event that makes it so stands alone, and only that is refused. Never DescribeLogStreams,
 * whose quota is 25 a second for the whole account.
 */
export function cloudwatchLogsSink(options: CloudwatchLogsSinkOptions): Sink {
  const { client, createLogGroup, retentionDays, retentionWishes, clock, log } = options;
  let retentionTryAtMs = 0;

  async function deliver(batch: Batch, signal: AbortSignal): Promise<readonly RefusedEvent[]> {
    try {
      return refusedBy(await put(batch, signal), batch);
    } catch (error) {
      // Its answer to the first try was lost: the events are there.
      if (isNamed(error, 'DataAlreadyAcceptedException')) return [];
      if (!isNamed(error, 'InvalidParameterException', 'SerializationException')) throw error;
      return halve(batch, signal);
    }
  }

  async function halve(batch: Batch, signal: AbortSignal): Promise<readonly RefusedEvent[]> {
    const events = eventsOf(batch);
    if (events.length === 1) return events.map((event) => ({ ...event, reason: 'invalid' }));
    const middle = events.length >> 1;
    const first = await deliver(partOf(batch, events.slice(0, middle)), signal);
    const second = await deliver(partOf(batch, events.slice(middle)), signal);
    return [...first, ...second];
  }

  async function put(batch: Batch, signal: AbortSignal): Promise<PutLogEventsCommandOutput> {
    try {
      return await client.send(readyMade(batch), { abortSignal: signal });
    } catch (error) {
      if (!isNamed(error, 'ResourceNotFoundException')) throw error;
      await createStream(batch.stream, signal);
      return client.send(readyMade(batch), { abortSignal: signal });
    }
  }

  async function createStream(stream: StreamName, signal: AbortSignal): Promise<void> {
    const { logGroup, logStream } = stream;
    const create = (): Promise<unknown> =>
      client.send(new CreateLogStreamCommand({ logGroupName: logGroup, logStreamName: logStream }), {
        abortSignal: signal,
      });
    try {
      await existing(create());
    } catch (error) {
      if (!createLogGroup || !isNamed(error, 'ResourceNotFoundException')) throw error;
      await createGroup(logGroup, signal);
      await existing(create());
    }
    log(eventsEvent('events.stream-created', { logGroup, logStream }));
  }

  async function createGroup(logGroup: string, signal: AbortSignal): Promise<void> {
    if (retentionDays !== undefined) await retentionWishes.add(logGroup);
    await existing(
      client.send(new CreateLogGroupCommand({ logGroupName: logGroup }), { abortSignal: signal }),
    );
    log(eventsEvent('events.group-created', { logGroup, retentionDays }));
    await setRetention(logGroup, signal);
  }

  /** Never holds events back: without the right to set it, they are shipped all the same and it is said. */
  async function setRetention(logGroup: string, signal: AbortSignal): Promise<void> {
    try {
      if (retentionDays !== undefined) {
        const command = new PutRetentionPolicyCommand({
          logGroupName: logGroup,
          retentionInDays: retentionDays,
        });
        await client.send(command, { abortSignal: signal });
      }
      await retentionWishes.remove(logGroup);
    } catch (error) {
      signal.throwIfAborted();
      // Not created after all, or gone again: its wish comes back with it.
      if (isNamed(error, 'ResourceNotFoundException')) return;
      retentionTryAtMs = clock.monotonic() + retentionRetryMs;
      const reported = reportOf(cloudwatchError(error, { logGroup, logStream: '' }));
      log(eventsEvent('events.retention-failed', { logGroup, retentionDays, error: reported }));
    }
  }

  async function fulfilWishes(signal: AbortSignal): Promise<void> {
    if (clock.monotonic() < retentionTryAtMs) return;
    retentionTryAtMs = clock.monotonic() + retentionRetryMs;
    for (const logGroup of retentionWishes.list()) await setRetention(logGroup, signal);
  }

  return {
    async send(batch, signal) {
      try {
        const refused = await deliver(batch, signal);
        await fulfilWishes(signal);
        return refused;
      } catch (error) {
        signal.throwIfAborted();
        throw cloudwatchError(error, batch.stream);
      }
    },
  };
}

/** Resolves also when what was to be created is there already. */
async function existing(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isNamed(error, 'ResourceAlreadyExistsException')) throw error;
  }
}

/**
 * The call with its body as it is in the batch. The SDK does endpoint, credentials and signature; its own serializer
 * would cost more than ten times all of that.
 */
function readyMade(batch: Batch): PutLogEventsCommand {
  const { logGroup, logStream } = batch.stream;
  const command = new PutLogEventsCommand({
    logGroupName: logGroup,
    logStreamName: logStream,
    logEvents: [],
  });
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request ?? {}, { body: batch.body });
      return next(args);
    },
    // Before the SDK counts the body's length, and long before it signs.
    { step: 'build', priority: 'high', name: 'readyMadeBody' },
  );
  return command;
}

/** Reads `rejectedLogEventsInfo`: one start that is inclusive and two ends that are exclusive. */
function refusedBy({ rejectedLogEventsInfo }: PutLogEventsCommandOutput, batch: Batch): RefusedEvent[] {
  if (rejectedLogEventsInfo === undefined) return [];
  const { tooOldLogEventEndIndex = 0, expiredLogEventEndIndex = 0 } = rejectedLogEventsInfo;
  const tooNewStart = rejectedLogEventsInfo.tooNewLogEventStartIndex ?? batch.events;
  const reasonAt = (index: number): RefusalReason | undefined => {
    if (index < tooOldLogEventEndIndex) return 'too-old';
    if (index < expiredLogEventEndIndex) return 'expired';
    return index >= tooNewStart ? 'too-new' : undefined;
  };
  return eventsOf(batch).flatMap((event, index) => {
    const reason = reasonAt(index);
    return reason === undefined ? [] : [{ ...event, reason }];
  });
}
