import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  type CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { requestIdOf } from '../../base/aws-error.ts';
import type { Clock } from '../../base/clock.ts';
import { type GatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { type Batch, eventsOf, partOf, type StreamName } from '../batch.ts';
import { bodyHash } from '../body-hash.ts';
import { eventsError } from '../errors.ts';
import { eventsEvent } from '../log-events.ts';
import type { Sink } from '../sink.ts';
import { type RefusalReason, type RefusedEvent, streamKey } from '../spool.ts';
import { cloudwatchError, isNamed } from './cloudwatch-errors.ts';
import { type PartialDelivery, partialDeliveries } from './partial-delivery.ts';

export interface CloudwatchLogsSinkOptions {
  /** For groups and streams. Made with one attempt: trying again is the pipeline's. */
  readonly client: CloudWatchLogsClient;
  readonly putLogEvents: PutLogEvents;
  /** Bodies are sent with gzip: the limits of a call are of what it was before. */
  readonly isSqueezed?: boolean;
  readonly createLogGroup: boolean;
  /** Of the log groups that this sink creates. */
  readonly group?: GroupOptions;
  /** Retention in days of the log groups that this sink creates. */
  readonly retentionDays?: number | undefined;
  readonly retentionWishes: RetentionWishes;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/**
 * PutLogEvents with its body ready-made: what it answers, as JSON. Makes one attempt. Fails as the SDK does: an error
 * of AWS has its name and `$metadata`, one of the network has Node's `code`.
 */
export type PutLogEvents = (
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<unknown>;

export interface GroupOptions {
  readonly class?: 'STANDARD' | 'INFREQUENT_ACCESS' | undefined;
  readonly kmsKeyArn?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
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
/** How long nothing of a stream is sent after its request was found to be invalid, whatever events it has. */
const invalidRetryMs = 10 * 60 * 1000;
const holdsMax = 1_000;

/** What the answer to a part was when it called that invalid. */
interface Invalid {
  readonly error: unknown;
}

/**
 * PutLogEvents. A missing group or stream is created; what the answer calls rejected is returned; a batch that is
 * invalid is halved until the event that makes it so stands alone, and only that is refused. A try that ends before its
 * end is gone on with by the next one, so what was taken is not sent again. Where event after event is invalid and none
 * is taken, the request is (a name, say), and no event is refused for it. Never DescribeLogStreams, whose quota is 25 a
 * second for the whole account.
 */
export function cloudwatchLogsSink(options: CloudwatchLogsSinkOptions): Sink {
  const {
    client,
    putLogEvents,
    isSqueezed = false,
    createLogGroup,
    group = {},
    retentionDays,
    retentionWishes,
    clock,
    log,
  } = options;
  const partials = partialDeliveries();
  /** Until when nothing is sent, by stream. */
  const holds = new Map<string, number>();
  let retentionTryAtMs = 0;

  async function deliver(batch: Batch, signal: AbortSignal): Promise<readonly RefusedEvent[]> {
    const begun = partials.of(batch);
    if (begun !== undefined) return deliverParts(batch, begun, signal);
    const outcome = await tryPart(batch, signal);
    if (!isInvalid(outcome)) {
      partials.streamTakes(batch);
      return outcome;
    }
    const delivery = partials.begin(batch, eventsOf(batch));
    refuseNext(batch, delivery, outcome.error);
    return deliverParts(batch, delivery, signal);
  }

  async function deliverParts(
    batch: Batch,
    delivery: PartialDelivery,
    signal: AbortSignal,
  ): Promise<readonly RefusedEvent[]> {
    for (let part = delivery.next(); part !== undefined; part = delivery.next()) {
      const outcome = await tryPart(partOf(batch, part.events), signal);
      if (isInvalid(outcome)) refuseNext(batch, delivery, outcome.error);
      else delivery.taken(outcome);
    }
    partials.end(batch);
    return delivery.refused();
  }

  /** @throws EVENTS_REQUEST_INVALID when it is not the events: then all of them are kept, and it is tried rarely. */
  function refuseNext(batch: Batch, delivery: PartialDelivery, error: unknown): void {
    if (delivery.invalid()) return;
    partials.end(batch);
    holds.set(streamKey(batch.stream), clock.monotonic() + invalidRetryMs);
    const [oldest] = holds.keys();
    if (holds.size > holdsMax && oldest !== undefined) holds.delete(oldest);
    throw requestInvalid(batch.stream, error);
  }

  function throwIfHeld({ stream }: Batch): void {
    const untilMs = holds.get(streamKey(stream));
    if (untilMs === undefined) return;
    if (clock.monotonic() < untilMs) throw requestInvalid(stream);
    holds.delete(streamKey(stream));
  }

  async function tryPart(part: Batch, signal: AbortSignal): Promise<readonly RefusedEvent[] | Invalid> {
    try {
      return refusedBy(await put(part, signal), part);
    } catch (error) {
      // Its answer to the first try was lost: the events are there.
      if (isNamed(error, 'DataAlreadyAcceptedException')) return [];
      if (isNamed(error, 'InvalidParameterException', 'SerializationException')) return { error };
      throw error;
    }
  }

  async function put({ body, stream, mayHaveMetrics = false }: Batch, signal: AbortSignal): Promise<unknown> {
    const wire = isSqueezed ? await squeezed(body, { level: 1, chunkSize: squeezedAtOnce }) : body;
    const headers = {
      ...(mayHaveMetrics && body.includes(metricsMember) ? { 'x-amzn-logs-format': 'json/emf' } : {}),
      ...(isSqueezed ? { 'content-encoding': 'gzip' } : {}),
    };
    try {
      return await putLogEvents(wire, headers, signal);
    } catch (error) {
      if (!isNamed(error, 'ResourceNotFoundException')) throw error;
      await createStream(stream, signal);
      return putLogEvents(wire, headers, signal);
    }
  }

  async function createStream(stream: StreamName, signal: AbortSignal): Promise<void> {
    const { logGroup, logStream } = stream;
    const create = (): Promise<unknown> =>
      client.send(new CreateLogStreamCommand({ logGroupName: logGroup, logStreamName: logStream }), {
        abortSignal: signal,
      });
    let answer: unknown;
    try {
      answer = await created(create());
    } catch (error) {
      if (!createLogGroup || !isNamed(error, 'ResourceNotFoundException')) throw error;
      await createGroup(logGroup, signal);
      answer = await created(create());
    }
    if (answer !== undefined) log(eventsEvent('events.stream-created', { logGroup, logStream }));
  }

  async function createGroup(logGroup: string, signal: AbortSignal): Promise<void> {
    if (retentionDays !== undefined) await retentionWishes.add(logGroup);
    const command = new CreateLogGroupCommand({
      logGroupName: logGroup,
      logGroupClass: group.class,
      kmsKeyId: group.kmsKeyArn,
      tags: group.tags,
    });
    const answer = await created(client.send(command, { abortSignal: signal }));
    if (answer !== undefined) {
      const { awsRequestId } = requestIdOf(answer);
      log(eventsEvent('events.group-created', { logGroup, retentionDays, awsRequestId }));
    }
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
    prepare({ body }) {
      // What is squeezed is signed as it is then.
      if (!isSqueezed) bodyHash(body);
    },

    async send(batch, signal) {
      try {
        signal.throwIfAborted();
        throwIfHeld(batch);
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

function isInvalid(outcome: readonly RefusedEvent[] | Invalid): outcome is Invalid {
  return 'error' in outcome;
}

function requestInvalid({ logGroup, logStream }: StreamName, cause?: unknown): GatehouseError {
  return eventsError('EVENTS_REQUEST_INVALID', { logGroup, logStream }, cause);
}

/** False when it was there already: another stream of this agent may have been first, or another agent. */
async function created<Answer>(creation: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await creation;
  } catch (error) {
    if (!isNamed(error, 'ResourceAlreadyExistsException')) throw error;
    return undefined;
  }
}

/** Reads `rejectedLogEventsInfo`: one start that is inclusive and two ends that are exclusive. */
function refusedBy(answer: unknown, batch: Batch): RefusedEvent[] {
  const rejected = memberOf(answer, 'rejectedLogEventsInfo');
  if (rejected === undefined || rejected === null) return [];
  const tooOldEnd = indexIn(rejected, 'tooOldLogEventEndIndex') ?? 0;
  const expiredEnd = indexIn(rejected, 'expiredLogEventEndIndex') ?? 0;
  const tooNewStart = indexIn(rejected, 'tooNewLogEventStartIndex') ?? batch.events;
  const reasonAt = (index: number): RefusalReason | undefined => {
    if (index < tooOldEnd) return 'too-old';
    if (index < expiredEnd) return 'expired';
    return index >= tooNewStart ? 'too-new' : undefined;
  };
  return eventsOf(batch).flatMap((event, index) => {
    const reason = reasonAt(index);
    return reason === undefined ? [] : [{ ...event, reason }];
  });
}

function indexIn(rejected: unknown, name: string): number | undefined {
  const index = memberOf(rejected, name);
  return typeof index === 'number' ? index : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** Off this thread, and the same bytes each time: a batch that is sent again is the same on the wire. */
const squeezed = promisify(gzip);
/** Of its output: a batch becomes a few hundred kilobytes. */
const squeezedAtOnce = 256 * 1024;

/** The member by which an event in the embedded metric format is known, as it is in JSON in JSON. */
const metricsMember = String.raw`\"CloudWatchMetrics\"`;
