import { AwsError, type CallContext, type JsonObject, type JsonValue } from '../service.ts';
import { constraintFailed, groupOf, invalidParameter, readInput, streamMembers, streamOf } from './input.ts';
import { dayMs, type LogGroup, type LogStream, type LogsState, retainedSince } from './state.ts';

// The limits: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const batchEventsMax = 10_000;
const batchBytesMax = 1_048_576;
const eventBytesMax = 1_048_576;
const eventOverheadBytes = 26;
const batchSpanMsMax = dayMs;
const eventAgeMsMax = 14 * dayMs;
const eventAheadMsMax = 2 * 60 * 60 * 1000;

interface Batch {
  readonly messages: readonly string[];
  readonly timestamps: readonly number[];
  /** UTF-8 bytes of all messages and 26 for each event. */
  readonly bytes: number;
  readonly text: string;
}

/** The events of a batch that are taken, as a half-open range, and what is said of the rest. */
interface Verdict {
  readonly from: number;
  readonly to: number;
  readonly rejected: JsonObject | undefined;
}

export function putLogEvents(input: JsonObject, state: LogsState, { now }: CallContext): JsonObject {
  const batch = batchOf(input['logEvents']);
  const { logGroupName, logStreamName } = readInput(streamMembers, input);
  const group = groupOf(state, logGroupName);
  const stream = streamOf(group, logStreamName);
  requireOrder(batch.timestamps);
  const verdict = judge(batch.timestamps, group, now);

  if (verdict.from < verdict.to) store(batch, verdict, group, stream, now);

  const rejectedEntityInfo = entityFault(input['entity']);
  return {
    nextSequenceToken: String(group.eventCount).padStart(56, '0'),
    ...(verdict.rejected === undefined ? {} : { rejectedLogEventsInfo: verdict.rejected }),
    ...(rejectedEntityInfo === undefined ? {} : { rejectedEntityInfo }),
  };
}

/** Reads events by hand: the shapes of constraints.ts would cost several times as much for 10,000 of them. */
function batchOf(events: JsonValue | undefined): Batch {
  if (events === undefined || events === null)
    throw constraintFailed('logEvents', 'null', 'Member must not be null');
  if (!isList(events)) throw wrongType('logEvents', 'a List');
  if (events.length === 0) {
    throw constraintFailed('logEvents', "'[]'", 'Member must have length greater than or equal to 1');
  }
  if (events.length > batchEventsMax) {
    throw constraintFailed(
      'logEvents',
      "'[...]'",
      `Member must have length less than or equal to ${batchEventsMax}`,
    );
  }
  const messages: string[] = [];
  const timestamps: number[] = [];
  for (const [index, event] of events.entries()) {
    if (!isStructure(event)) throw wrongType('logEvents', 'a list of InputLogEvent');
    const { message, timestamp } = event;
    if (typeof message !== 'string' || message === '') throw messageFault(message, index);
    if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw timestampFault(timestamp, index);
    }
    messages.push(message);
    timestamps.push(timestamp);
  }
  const text = messages.join('');
  const bytes = Buffer.byteLength(text, 'utf8') + messages.length * eventOverheadBytes;
  if (bytes > batchBytesMax) throw tooLarge(messages, bytes);
  return { messages, timestamps, bytes, text };
}

function requireOrder(timestamps: readonly number[]): void {
  let previous = 0;
  for (const timestamp of timestamps) {
    if (timestamp < previous) {
      throw invalidParameter('Log events in a single PutLogEvents request must be in chronological order.');
    }
    previous = timestamp;
  }
}

/** Which events of an ordered batch are taken. The span is that of events the clock allows: AWS counts only these. */
function judge(timestamps: readonly number[], group: LogGroup, now: Date): Verdict {
  const tooOldEnd = firstAtOrAfter(timestamps, now.getTime() - eventAgeMsMax);
  const tooNewStart = firstAtOrAfter(timestamps, now.getTime() + eventAheadMsMax + 1);
  const retained = retainedSince(group, now);
  const expiredEnd = retained === undefined ? 0 : firstAtOrAfter(timestamps, retained);

  const spanMs = tooOldEnd < tooNewStart ? at(timestamps, tooNewStart - 1) - at(timestamps, tooOldEnd) : 0;
  if (spanMs > batchSpanMsMax) {
    throw invalidParameter(
      'The batch of log events in a single PutLogEvents request cannot span more than 24 hours.',
    );
  }
  const rejected = {
    ...(tooNewStart < timestamps.length ? { tooNewLogEventStartIndex: tooNewStart } : {}),
    ...(tooOldEnd > 0 ? { tooOldLogEventEndIndex: tooOldEnd } : {}),
    ...(expiredEnd > 0 ? { expiredLogEventEndIndex: expiredEnd } : {}),
  };
  return {
    from: Math.max(tooOldEnd, expiredEnd),
    to: tooNewStart,
    rejected: Object.keys(rejected).length === 0 ? undefined : rejected,
  };
}

function store(batch: Batch, { from, to }: Verdict, group: LogGroup, stream: LogStream, now: Date): void {
  const whole = from === 0 && to === batch.messages.length;
  const messages = whole ? batch.messages : batch.messages.slice(from, to);
  const timestamps = whole ? batch.timestamps : batch.timestamps.slice(from, to);
  const text = whole ? batch.text : messages.join('');
  const bytes = whole ? batch.bytes : Buffer.byteLength(text, 'utf8') + messages.length * eventOverheadBytes;
  const ends: number[] = [];
  let end = 0;
  for (const message of messages) {
    end += message.length;
    ends.push(end);
  }
  const first = at(timestamps, 0);
  const last = at(timestamps, timestamps.length - 1);

  stream.batches.push({
    firstOrdinal: group.eventCount,
    firstPosition: stream.eventCount,
    ingestedAt: now.getTime(),
    text,
    ends,
    timestamps,
  });
  stream.inOrder &&= stream.lastEventAt === undefined || first >= stream.lastEventAt;
  stream.firstEventAt = Math.min(stream.firstEventAt ?? first, first);
  stream.lastEventAt = Math.max(stream.lastEventAt ?? last, last);
  stream.lastIngestionAt = now.getTime();
  stream.eventCount += messages.length;
  group.eventCount += messages.length;
  group.storedBytes += bytes;
}

/** What is wrong with an entity; the events are taken all the same. */
function entityFault(entity: JsonValue | undefined): JsonObject | undefined {
  if (entity === undefined || entity === null) return undefined;
  if (!isStructure(entity)) return { errorType: 'InvalidEntity' };
  const { keyAttributes, attributes } = entity;
  const keys = Object.keys(keyAttributes ?? {});
  if (keys.length < 2 || keys.length > 4) return { errorType: 'InvalidKeyAttributes' };
  if (!keys.includes('Type')) return { errorType: 'MissingRequiredFields' };
  if (Object.keys(attributes ?? {}).length > 10) return { errorType: 'InvalidAttributes' };
  return undefined;
}

/** Lower bound in an ordered list. */
function firstAtOrAfter(timestamps: readonly number[], time: number): number {
  let low = 0;
  let high = timestamps.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(timestamps, middle) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function at(numbers: readonly number[], index: number): number {
  const value = numbers[index];
  if (value === undefined) throw new RangeError(`no number at ${index}`);
  return value;
}

/** An event too large makes its batch too large as well; AWS names the event then. */
function tooLarge(messages: readonly string[], bytes: number): Error {
  for (const message of messages) {
    const eventBytes = Buffer.byteLength(message, 'utf8') + eventOverheadBytes;
    if (eventBytes > eventBytesMax) {
      return invalidParameter(`Log event too large: ${eventBytes} bytes exceeds limit of ${eventBytesMax}`);
    }
  }
  return invalidParameter(`Upload too large: ${bytes} bytes exceeds limit of ${batchBytesMax}`);
}

function messageFault(message: JsonValue | undefined, index: number): Error {
  const member = `logEvents.${index + 1}.member.message`;
  if (message === undefined || message === null)
    return constraintFailed(member, 'null', 'Member must not be null');
  if (message === '')
    return constraintFailed(member, "''", 'Member must have length greater than or equal to 1');
  return wrongType(member, 'a String');
}

function timestampFault(timestamp: JsonValue | undefined, index: number): Error {
  const member = `logEvents.${index + 1}.member.timestamp`;
  if (timestamp === undefined || timestamp === null)
    return constraintFailed(member, 'null', 'Member must not be null');
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp)) return wrongType(member, 'a Long');
  return constraintFailed(member, `'${timestamp}'`, 'Member must have value greater than or equal to 0');
}

function wrongType(member: string, expected: string): Error {
  return new AwsError('SerializationException', `${member} can not be converted to ${expected}`);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isStructure(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
