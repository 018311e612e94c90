import { logs } from '../../sandbox/logs.ts';
import type { CallContext, JsonObject, JsonValue } from '../../sandbox/service.ts';

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;
export const groupMissing = 'The specified log group does not exist.';
export const streamMissing = 'The specified log stream does not exist.';
/** The group and the stream that the fixture makes. */
export const place = { logGroupName: 'group', logStreamName: 'stream' };

/** When the fixture's clock starts. */
export const start = new Date('2026-11-22T12:00:00Z');

const caller = {
  accountId: '123456789012',
  arn: 'arn:aws:iam::123456789012:user/test',
  userId: 'AIDATEST',
  accessKeyId: 'AKIATEST',
};

/** CloudWatch Logs of the sandbox without a server, with one group and one stream. */
export function logsFixture() {
  const state = logs.newState();
  let now = start;
  const call = (operation: string, input: JsonObject): JsonObject => {
    const context: CallContext = { caller, region: 'eu-west-1', now, requestId: 'request' };
    const run = logs.operations[operation];
    if (run === undefined) throw new TypeError(`no operation ${operation}`);
    return run(input, state, context) ?? {};
  };
  call('CreateLogGroup', { logGroupName: 'group' });
  call('CreateLogStream', place);
  return {
    state,
    call,
    put: (logEvents: JsonValue, more: JsonObject = {}) =>
      call('PutLogEvents', { ...place, logEvents, ...more }),
    get: (more: JsonObject = {}) => call('GetLogEvents', { ...place, startFromHead: true, ...more }),
    filter: (more: JsonObject = {}) => call('FilterLogEvents', { logGroupName: 'group', ...more }),
    advance: (ms: number) => {
      now = new Date(now.getTime() + ms);
    },
  };
}

/** Events at these offsets from the fixture's start, called `line 0`, `line 1`, … */
export function eventsAt(...offsetsMs: number[]) {
  return offsetsMs.map((offset, index) => ({
    timestamp: start.getTime() + offset,
    message: `line ${index}`,
  }));
}

/** The same event `count` times. */
export function repeated(count: number, message = 'x') {
  return Array.from({ length: count }, () => ({ timestamp: start.getTime(), message }));
}

/** The messages of a reply's events. */
export function messages(reply: JsonObject): unknown[] {
  return structures(reply['events']).map((event) => event['message']);
}

/** A list of structures in a reply. */
export function structures(value: JsonValue | undefined): JsonObject[] {
  if (!Array.isArray(value)) throw new TypeError('not a list');
  return value.filter((item: JsonValue): item is JsonObject => typeof item === 'object');
}
