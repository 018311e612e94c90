import { gzipSync } from 'node:zlib';
import {
  CreateLogGroupCommand,
  type CreateLogGroupCommandInput,
  CreateLogStreamCommand,
  DeleteLogGroupCommand,
  DeleteRetentionPolicyCommand,
  DescribeLogGroupsCommand,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  type FilterLogEventsCommandInput,
  GetLogEventsCommand,
  type GetLogEventsCommandInput,
  type InputLogEvent,
  PutLogEventsCommand,
  type PutLogEventsCommandInput,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { expect } from 'vitest';
import type { Bench, ContractCase } from './contract.ts';
import { accepted, message, outcome, refused } from './outcome.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const reference = 'https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/';
const invalid = refused('InvalidParameterException');

async function createGroup(bench: Bench, input: Partial<CreateLogGroupCommandInput> = {}) {
  const logGroupName = bench.unique('/contract/group');
  await bench.logs.send(new CreateLogGroupCommand({ logGroupName, ...input }));
  return { logGroupName };
}

async function createStream(bench: Bench) {
  const place = { ...(await createGroup(bench)), logStreamName: 'stream' };
  await bench.logs.send(new CreateLogStreamCommand(place));
  return place;
}

/** Puts events into a stream of their own. */
async function putInto(bench: Bench, logEvents: InputLogEvent[]) {
  const place = await createStream(bench);
  return bench.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
}

/** Events so many milliseconds from now, called `line 0`, `line 1`, … */
function eventsAt(...offsetsMs: number[]): InputLogEvent[] {
  const now = Date.now();
  return offsetsMs.map((offset, index) => ({ timestamp: now + offset, message: `line ${index}` }));
}

function repeated(count: number, text = 'x'): InputLogEvent[] {
  return Array.from({ length: count }, () => ({ timestamp: Date.now(), message: text }));
}

async function read({ logs }: Bench, input: GetLogEventsCommandInput) {
  const reply = await logs.send(new GetLogEventsCommand({ startFromHead: true, ...input }));
  return {
    lines: (reply.events ?? []).map((event) => event.message),
    forward: reply.nextForwardToken,
    backward: reply.nextBackwardToken,
  };
}

async function find({ logs }: Bench, input: FilterLogEventsCommandInput) {
  const reply = await logs.send(new FilterLogEventsCommand(input));
  return (reply.events ?? []).map((event) => event.message);
}

async function describeGroup({ logs }: Bench, logGroupNamePrefix: string) {
  return (await logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix }))).logGroups?.[0];
}

const batchCases: readonly ContractCase[] = [
  {
    name: 'events are read back as they were put, in order',
    async run(bench) {
      const place = await createStream(bench);
      const logEvents = [
        { timestamp: Date.now() - 1, message: 'first "quoted" \\ \t' },
        { timestamp: Date.now(), message: 'zweite Zeile: äöü € 😀' },
      ];
      await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
      const { events = [] } = await bench.logs.send(
        new GetLogEventsCommand({ ...place, startFromHead: true }),
      );
      return events.map((event, index) => ({
        message: event.message,
        time: event.timestamp === logEvents[index]?.timestamp,
        ingested: typeof event.ingestionTime,
      }));
    },
    expected: [
      { message: 'first "quoted" \\ \t', time: true, ingested: 'number' },
      { message: 'zweite Zeile: äöü € 😀', time: true, ingested: 'number' },
    ],
  },
  {
    name: 'a compressed batch is taken',
    async run(bench) {
      const place = await createStream(bench);
      const command = new PutLogEventsCommand({ ...place, logEvents: eventsAt(0, 1) });
      command.middlewareStack.add(
        (next) => (args) => {
          const request = args.request as { body: string; headers: Record<string, string> };
          const body = gzipSync(request.body);
          const headers = {
            ...request.headers,
            'content-encoding': 'gzip',
            'content-length': `${body.length}`,
          };
          return next({ ...args, request: Object.assign(request, { body, headers }) });
        },
        { step: 'build', priority: 'low', name: 'gzip' },
      );
      await bench.logs.send(command);
      return (await read(bench, place)).lines;
    },
    expected: ['line 0', 'line 1'],
  },
  {
    name: 'a sequence token is ignored, and parallel puts are fine',
    async run(bench) {
      const place = await createStream(bench);
      const put = (sequenceToken: string) =>
        outcome(
          bench.logs.send(new PutLogEventsCommand({ ...place, logEvents: eventsAt(0), sequenceToken })),
        );
      return Promise.all([put('one'), put('two'), put('three')]);
    },
    expected: [accepted, accepted, accepted],
  },
  {
    name: 'a batch is 1,048,576 bytes at most: UTF-8 and 26 for each event',
    async run(bench) {
      const half = 1_048_576 / 2 - 26;
      return [
        await outcome(putInto(bench, repeated(2, 'x'.repeat(half)))),
        await outcome(
          putInto(bench, [...repeated(1, 'x'.repeat(half)), ...repeated(1, 'x'.repeat(half + 1))]),
        ),
        await outcome(putInto(bench, repeated(2, 'é'.repeat(half / 2)))),
        await outcome(putInto(bench, repeated(2, 'é'.repeat(half / 2 + 1)))),
      ];
    },
    expected: [accepted, invalid, accepted, invalid],
    moto: {
      sees: [accepted, accepted, accepted, accepted],
      because: 'it counts no bytes',
      documentation: `${reference}API_PutLogEvents.html`,
    },
  },
  {
    name: 'the largest event is 1,048,550 bytes',
    async run(bench) {
      return [
        await outcome(putInto(bench, repeated(1, 'x'.repeat(1_048_550)))),
        await outcome(putInto(bench, repeated(1, 'x'.repeat(1_048_551)))),
      ];
    },
    expected: [accepted, invalid],
    moto: {
      sees: [accepted, accepted],
      because: 'it counts no bytes',
      documentation: `${reference}API_PutLogEvents.html`,
    },
  },
  {
    name: 'a batch is 1 to 10,000 events',
    async run(bench) {
      return [
        await outcome(putInto(bench, repeated(10_000))),
        await outcome(putInto(bench, repeated(10_001))),
        await outcome(putInto(bench, [])),
      ];
    },
    expected: [accepted, invalid, invalid],
    moto: {
      sees: [accepted, accepted, accepted],
      because: 'it takes any number',
      documentation: `${reference}API_PutLogEvents.html`,
    },
  },
  {
    name: 'an empty message is refused',
    run: (bench) => outcome(putInto(bench, repeated(1, ''))),
    expected: invalid,
    moto: {
      sees: accepted,
      because: 'it takes empty messages',
      documentation: `${reference}API_InputLogEvent.html`,
    },
  },
  {
    name: 'a negative timestamp is refused',
    run: (bench) => outcome(putInto(bench, [{ timestamp: -1, message: 'a' }])),
    expected: invalid,
    moto: {
      sees: accepted,
      because: 'it takes the call',
      documentation: `${reference}API_InputLogEvent.html`,
    },
  },
  {
    name: 'a batch out of order is refused whole',
    async run(bench) {
      const place = await createStream(bench);
      const put = bench.logs.send(new PutLogEventsCommand({ ...place, logEvents: eventsAt(1, 0) }));
      return { put: await outcome(put), lines: (await read(bench, place)).lines };
    },
    expected: { put: invalid, lines: [] },
  },
  {
    name: 'a batch spans 24 hours at most',
    async run(bench) {
      return [
        await outcome(putInto(bench, eventsAt(-dayMs, 0))),
        await outcome(putInto(bench, eventsAt(-dayMs - 1, 0))),
      ];
    },
    expected: [accepted, invalid],
    moto: {
      sees: [accepted, accepted],
      because: 'it has no limit',
      documentation: `${reference}API_PutLogEvents.html`,
    },
  },
  {
    name: 'events more than two hours ahead are rejected, from an index on',
    async run(bench) {
      const { rejectedLogEventsInfo } = await putInto(bench, eventsAt(0, hourMs, 3 * hourMs, 4 * hourMs));
      return rejectedLogEventsInfo;
    },
    expected: { tooNewLogEventStartIndex: 2 },
    moto: {
      sees: { tooNewLogEventStartIndex: 3 },
      because: 'it gives the last index',
      documentation: `${reference}API_RejectedLogEventsInfo.html`,
    },
  },
  {
    name: 'events more than fourteen days old are rejected, before an index',
    async run(bench) {
      const reply = await putInto(bench, eventsAt(-16 * dayMs, -15 * dayMs, 0));
      return reply.rejectedLogEventsInfo;
    },
    expected: { tooOldLogEventEndIndex: 2 },
    moto: {
      sees: { tooOldLogEventEndIndex: 1 },
      because: 'its index is inclusive',
      documentation: `${reference}API_RejectedLogEventsInfo.html`,
    },
  },
  {
    name: 'the events between the rejected ones are kept',
    async run(bench) {
      const place = await createStream(bench);
      const logEvents = eventsAt(-15 * dayMs, -hourMs, 0, 3 * hourMs);
      await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
      return (await read(bench, place)).lines;
    },
    expected: ['line 1', 'line 2'],
  },
  {
    name: 'events older than the group keeps them are rejected, before an index',
    async run(bench) {
      const place = await createStream(bench);
      await bench.logs.send(new PutRetentionPolicyCommand({ ...place, retentionInDays: 3 }));
      const logEvents = eventsAt(-3 * dayMs - 2 * hourMs, -3 * dayMs - hourMs, -3 * dayMs + hourMs);
      const reply = await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
      return { rejected: reply.rejectedLogEventsInfo, lines: (await read(bench, place)).lines };
    },
    expected: { rejected: { expiredLogEventEndIndex: 2 }, lines: ['line 2'] },
    moto: {
      sees: { rejected: undefined, lines: ['line 0', 'line 1', 'line 2'] },
      because: 'it never looks at the retention',
      documentation: `${reference}API_PutLogEvents.html`,
    },
  },
  {
    name: 'a missing group and a missing stream are told apart',
    async run(bench) {
      const { logGroupName } = await createGroup(bench);
      const put = (place: Omit<PutLogEventsCommandInput, 'logEvents'>) =>
        bench.logs.send(new PutLogEventsCommand({ ...place, logEvents: eventsAt(0) }));
      const noGroup = { logGroupName: bench.unique('missing'), logStreamName: 'stream' };
      const noStream = { logGroupName, logStreamName: 'missing' };
      return {
        group: [await outcome(put(noGroup)), await message(put(noGroup))],
        stream: [await outcome(put(noStream)), await message(put(noStream))],
      };
    },
    expected: {
      group: [refused('ResourceNotFoundException'), 'The specified log group does not exist.'],
      stream: [refused('ResourceNotFoundException'), 'The specified log stream does not exist.'],
    },
  },
];

const found = {
  all: ['ERROR disk full', 'WARN disk slow', 'INFO all well'],
  both: ['ERROR disk full'],
  phrase: ['INFO all well'],
  stream: ['WARN disk slow'],
};

const readingCases: readonly ContractCase[] = [
  {
    name: 'paging forward ends with the token it was asked with',
    async run(bench) {
      const place = await createStream(bench);
      await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents: eventsAt(0, 1, 2) }));
      const first = await read(bench, { ...place, limit: 2 });
      const second = await read(bench, { ...place, limit: 2, nextToken: first.forward });
      const third = await read(bench, { ...place, limit: 2, nextToken: second.forward });
      return { pages: [first.lines, second.lines, third.lines], ended: third.forward === second.forward };
    },
    expected: { pages: [['line 0', 'line 1'], ['line 2'], []], ended: true },
  },
  {
    name: 'without startFromHead the latest events come first, each page oldest first',
    async run(bench) {
      const place = await createStream(bench);
      await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents: eventsAt(0, 1, 2) }));
      const first = await read(bench, { ...place, limit: 2, startFromHead: false });
      const second = await read(bench, { ...place, limit: 2, nextToken: first.backward });
      return [first.lines, second.lines];
    },
    expected: [['line 1', 'line 2'], ['line 0']],
  },
  {
    name: 'startTime is included and endTime is not',
    async run(bench) {
      const place = await createStream(bench);
      const logEvents = eventsAt(0, 10, 20, 30);
      await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
      const [, second, , fourth] = logEvents;
      return (await read(bench, { ...place, startTime: second?.timestamp, endTime: fourth?.timestamp }))
        .lines;
    },
    expected: ['line 1', 'line 2'],
    moto: {
      sees: ['line 1', 'line 2', 'line 3'],
      because: 'it includes endTime',
      documentation: `${reference}API_GetLogEvents.html`,
    },
  },
  {
    name: 'a search goes through the streams of a group by time and by terms',
    async run(bench) {
      const { logGroupName } = await createStream(bench);
      await bench.logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName: 'other' }));
      const put = (logStreamName: string, offset: number, text: string) =>
        bench.logs.send(
          new PutLogEventsCommand({
            logGroupName,
            logStreamName,
            logEvents: [{ timestamp: Date.now() - 10_000 + offset, message: text }],
          }),
        );
      await put('stream', 0, 'ERROR disk full');
      await put('other', 1000, 'WARN disk slow');
      await put('stream', 2000, 'INFO all well');
      return {
        all: await find(bench, { logGroupName }),
        both: await find(bench, { logGroupName, filterPattern: 'ERROR disk' }),
        phrase: await find(bench, { logGroupName, filterPattern: '"all well"' }),
        stream: await find(bench, { logGroupName, logStreamNames: ['other'] }),
      };
    },
    expected: found,
    moto: {
      sees: { ...found, all: ['ERROR disk full', 'INFO all well', 'WARN disk slow'] },
      because: 'it orders by stream',
      documentation: `${reference}API_FilterLogEvents.html`,
    },
  },
];

const described = {
  arn: expect.stringMatching(/^arn:aws:logs:eu-west-1:\d{12}:log-group:NAME:\*$/u),
  logGroupArn: expect.stringMatching(/^arn:aws:logs:eu-west-1:\d{12}:log-group:NAME$/u),
  logGroupClass: 'STANDARD',
  retentionInDays: undefined,
};

const groupCases: readonly ContractCase[] = [
  {
    name: 'a group is described with both forms of its ARN and its class',
    async run(bench) {
      const { logGroupName } = await createGroup(bench);
      const group = await describeGroup(bench, logGroupName);
      return {
        arn: group?.arn?.replace(logGroupName, 'NAME'),
        logGroupArn: group?.logGroupArn?.replace(logGroupName, 'NAME'),
        logGroupClass: group?.logGroupClass,
        retentionInDays: group?.retentionInDays,
      };
    },
    expected: described,
    moto: {
      sees: { ...described, logGroupClass: undefined },
      because: 'it says no class',
      documentation: `${reference}API_LogGroup.html`,
    },
  },
  {
    name: 'a group and a stream are made once',
    async run(bench) {
      const place = await createStream(bench);
      return [
        await outcome(bench.logs.send(new CreateLogGroupCommand(place))),
        await outcome(bench.logs.send(new CreateLogStreamCommand(place))),
      ];
    },
    expected: [refused('ResourceAlreadyExistsException'), refused('ResourceAlreadyExistsException')],
  },
  {
    name: 'a group’s name has no other characters than AWS lists, and at most 512',
    async run(bench) {
      return [
        await outcome(createGroup(bench, { logGroupName: 'a b' })),
        await outcome(createGroup(bench, { logGroupName: 'x'.repeat(513) })),
        await outcome(createGroup(bench, { logGroupName: `aws/${bench.unique('x')}` })),
      ];
    },
    expected: [invalid, invalid, invalid],
    moto: {
      sees: [accepted, invalid, accepted],
      because: 'it checks the length only',
      documentation: `${reference}API_CreateLogGroup.html`,
    },
  },
  {
    name: 'a stream’s name has no colon and no asterisk',
    async run(bench) {
      const { logGroupName } = await createGroup(bench);
      const create = (logStreamName: string) =>
        outcome(bench.logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName })));
      return [await create('a:b'), await create('a*b'), await create('a b/c')];
    },
    expected: [invalid, invalid, accepted],
    moto: {
      sees: [accepted, accepted, accepted],
      because: 'it takes any name',
      documentation: `${reference}API_CreateLogStream.html`,
    },
  },
  {
    name: 'retention is one of the listed numbers of days, and can be taken away',
    async run(bench) {
      const { logGroupName } = await createGroup(bench);
      const put = (retentionInDays: number) =>
        outcome(bench.logs.send(new PutRetentionPolicyCommand({ logGroupName, retentionInDays })));
      const puts = [await put(30), await put(31)];
      const kept = (await describeGroup(bench, logGroupName))?.retentionInDays;
      await bench.logs.send(new DeleteRetentionPolicyCommand({ logGroupName }));
      return { puts, kept, after: (await describeGroup(bench, logGroupName))?.retentionInDays };
    },
    expected: { puts: [accepted, invalid], kept: 30, after: undefined },
    moto: {
      sees: { puts: [accepted, accepted], kept: 31, after: undefined },
      because: 'it takes any number',
      documentation: `${reference}API_PutRetentionPolicy.html`,
    },
  },
  {
    name: 'streams are listed by name, and say when their events were',
    async run(bench) {
      const place = await createStream(bench);
      await bench.logs.send(new CreateLogStreamCommand({ ...place, logStreamName: 'another' }));
      const logEvents = eventsAt(-5, 0);
      await bench.logs.send(new PutLogEventsCommand({ ...place, logEvents }));
      const { logStreams = [] } = await bench.logs.send(
        new DescribeLogStreamsCommand({ logGroupName: place.logGroupName }),
      );
      return logStreams.map((stream) => ({
        name: stream.logStreamName,
        first: stream.firstEventTimestamp === logEvents[0]?.timestamp,
        last: stream.lastEventTimestamp === logEvents[1]?.timestamp,
      }));
    },
    expected: [
      { name: 'another', first: false, last: false },
      { name: 'stream', first: true, last: true },
    ],
  },
  {
    name: 'a deleted group is gone with its streams',
    async run(bench) {
      const place = await createStream(bench);
      await bench.logs.send(new DeleteLogGroupCommand({ logGroupName: place.logGroupName }));
      return [await outcome(read(bench, place)), await describeGroup(bench, place.logGroupName)];
    },
    expected: [refused('ResourceNotFoundException'), undefined],
  },
];

export const logsCases: readonly ContractCase[] = [...batchCases, ...readingCases, ...groupCases];
