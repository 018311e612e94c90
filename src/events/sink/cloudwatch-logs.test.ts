import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { FaultRule } from '../../../sandbox/faults.ts';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { type Batch, encodeChunk, openBatch, partOf } from '../batch.ts';
import { sinkContract } from '../sink.contract.ts';
import { type CloudwatchLogsSinkOptions, cloudwatchLogsSink } from './cloudwatch-logs.ts';

const stream = { logGroup: '/gatehouse/contract', logStream: 'contract' };
const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;
const { signal } = new AbortController();

async function setup(options: Partial<CloudwatchLogsSinkOptions> = {}) {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('agent');
  const client = new CloudWatchLogsClient({
    region: sandbox.region,
    endpoint: url,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
  onTestFinished(async () => {
    client.destroy();
    await close();
  });
  const events: LogEvent[] = [];
  const wishes = new Set<string>();
  const clock = fakeClock();
  const sink = cloudwatchLogsSink({
    client,
    createLogGroup: true,
    retentionWishes: {
      list: () => [...wishes],
      add: async (group) => void wishes.add(group),
      remove: async (group) => void wishes.delete(group),
    },
    clock,
    log: (event) => events.push(event),
    ...options,
  });
  const group = () => sandbox.state.logs.groups[stream.logGroup];
  return {
    sandbox,
    sink,
    clock,
    wishes,
    group,
    said: (name: string) => events.filter((event) => event.name === name),
    fault: (rule: Omit<FaultRule, 'service'>) => sandbox.faults.add({ service: 'logs', ...rule }),
    operations: () => sandbox.calls.list().map(({ operation }) => operation),
    messages: () =>
      (group()?.streams[stream.logStream]?.batches ?? []).flatMap(({ text, ends }) =>
        ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end)),
      ),
  };
}

function batchOf(text: string): Batch {
  const open = openBatch(stream);
  for (const piece of encodeChunk(Buffer.from(text), Date.now()).pieces) open.add(piece);
  return open.seal();
}

/** A batch as it might lie in the spool after a long outage. */
function aged(...agesMs: number[]): Batch {
  const events = agesMs.map((age) => ({ timestamp: Date.now() - age, message: `${age / hourMs} h` }));
  return partOf(batchOf('x'), events);
}

sinkContract('cloudwatchLogsSink', () => setup());

describe('a sink to CloudWatch Logs', () => {
  test('sends a full batch, and the sandbox finds it within every limit', async () => {
    const { sink, messages } = await setup();
    const line = `{"level":"info","text":"${'ü'.repeat(100)}"}`;
    const open = openBatch(stream);
    for (;;) {
      const [piece] = encodeChunk(Buffer.from(`${line}\n`), Date.now()).pieces;
      if (piece === undefined || !open.fits(piece)) break;
      open.add(piece);
    }
    const batch = open.seal();

    await sink.send(batch, signal);

    expect(messages()).toHaveLength(batch.events);
    expect(new Set(messages())).toEqual(new Set([line]));
  });

  test('creates group, retention and stream when they are missing, and only then', async () => {
    const { sink, group, operations, wishes } = await setup({ retentionDays: 30 });

    await sink.send(batchOf('one'), signal);
    await sink.send(batchOf('two'), signal);

    expect(group()?.retentionInDays).toBe(30);
    expect(wishes.size).toBe(0);
    expect(operations()).toEqual([
      'PutLogEvents',
      'CreateLogStream',
      'CreateLogGroup',
      'PutRetentionPolicy',
      'CreateLogStream',
      'PutLogEvents',
      'PutLogEvents',
    ]);
  });

  test('creates no group where it may not', async () => {
    const { sink, group } = await setup({ createLogGroup: false });

    await expect(sink.send(batchOf('x'), signal)).rejects.toMatchObject({
      code: 'EVENTS_GROUP_MISSING',
      details: stream,
    });
    expect(group()).toBeUndefined();
  });

  test('ships though it may not set the retention, says so, and sets it later', async () => {
    const { sink, group, fault, messages, said, clock, wishes } = await setup({ retentionDays: 30 });
    fault({
      operation: 'PutRetentionPolicy',
      count: 1,
      effect: { kind: 'error', name: 'AccessDeniedException' },
    });

    await sink.send(batchOf('one'), signal);
    expect(messages()).toEqual(['one']);
    expect(said('events.retention-failed')).toHaveLength(1);
    expect(group()?.retentionInDays).toBeUndefined();

    await clock.advance(10 * 60 * 1000);
    await sink.send(batchOf('two'), signal);
    expect(group()?.retentionInDays).toBe(30);
    expect(wishes.size).toBe(0);
  });

  test('completes a retention that a crash left open', async () => {
    const { sink, group, wishes, clock } = await setup({ retentionDays: 30 });
    await sink.send(batchOf('one'), signal);
    const made = group();
    if (made === undefined) throw new Error('no group');
    made.retentionInDays = undefined;
    wishes.add(stream.logGroup);

    await clock.advance(10 * 60 * 1000);
    await sink.send(batchOf('two'), signal);

    expect(wishes.size).toBe(0);
    expect(made.retentionInDays).toBe(30);
  });

  test('gives back what is too old and too new, and delivers the rest', async () => {
    const { sink, messages } = await setup();
    await sink.send(batchOf('first'), signal);

    const old = await sink.send(aged(14 * dayMs + hourMs, 13.5 * dayMs), signal);
    const early = await sink.send(aged(hourMs, -hourMs, -3 * hourMs, -4 * hourMs), signal);

    expect(old).toMatchObject([{ reason: 'too-old', message: '337 h' }]);
    expect(early).toMatchObject([
      { reason: 'too-new', message: '-3 h' },
      { reason: 'too-new', message: '-4 h' },
    ]);
    expect(messages()).toEqual(['first', '324 h', '1 h', '-1 h']);
  });

  test("gives back what is older than the group's retention", async () => {
    const { sink, messages } = await setup({ retentionDays: 1 });
    await sink.send(batchOf('first'), signal);

    const refused = await sink.send(aged(26 * hourMs, 25 * hourMs, 3 * hourMs), signal);

    expect(refused.map(({ reason, message }) => [reason, message])).toEqual([
      ['expired', '26 h'],
      ['expired', '25 h'],
    ]);
    expect(messages()).toEqual(['first', '3 h']);
  });

  test('finds the one event that makes a batch invalid and delivers the others', async () => {
    const { sink, messages } = await setup();
    await sink.send(batchOf('first'), signal);
    const now = Date.now();
    const events = Array.from({ length: 100 }, (_, index) => ({
      timestamp: now,
      message: index === 42 ? '' : `line ${index}`,
    }));

    const refused = await sink.send(partOf(batchOf('x'), events), signal);

    expect(refused).toEqual([{ timestamp: now, message: '', reason: 'invalid' }]);
    expect(messages()).toHaveLength(100);
    expect(messages().slice(1)).toEqual(
      events.map(({ message }) => message).filter((message) => message !== ''),
    );
  });

  test('never asks for the streams of a group', async () => {
    const { sink, operations } = await setup();
    await sink.send(batchOf('x'), signal);

    expect(operations()).not.toContain('DescribeLogStreams');
  });

  test.each([
    [{ kind: 'throttle' }, 'EVENTS_THROTTLED'],
    [{ kind: 'cut' }, 'EVENTS_UNREACHABLE'],
    [{ kind: 'lost-answer' }, 'EVENTS_UNREACHABLE'],
    [{ kind: 'error', name: 'ServiceUnavailableException', status: 503 }, 'EVENTS_UNREACHABLE'],
    [{ kind: 'error', name: 'SomethingNew', status: 500 }, 'EVENTS_UNREACHABLE'],
    [{ kind: 'error', name: 'SomethingNew', status: 400 }, 'EVENTS_SEND_FAILED'],
    [{ kind: 'error', name: 'AccessDeniedException' }, 'EVENTS_DENIED'],
    [{ kind: 'error', name: 'ExpiredTokenException' }, 'EVENTS_CREDENTIALS_REFUSED'],
    [{ kind: 'error', name: 'UnrecognizedClientException' }, 'EVENTS_CREDENTIALS_REFUSED'],
    [{ kind: 'error', name: 'InvalidOperationException' }, 'EVENTS_REQUEST_INVALID'],
  ] as const)('calls %o %s', async (effect, code) => {
    const { sink, fault } = await setup();
    fault({ operation: 'PutLogEvents', effect });

    await expect(sink.send(batchOf('x'), signal)).rejects.toMatchObject({ code, row: { retry: true } });
  });

  test('sends the same bytes again after a lost answer', async () => {
    const { sink, fault, messages } = await setup();
    await sink.send(batchOf('first'), signal);
    const batch = batchOf('again');
    fault({ operation: 'PutLogEvents', count: 1, effect: { kind: 'lost-answer' } });

    await expect(sink.send(batch, signal)).rejects.toMatchObject({ code: 'EVENTS_UNREACHABLE' });
    await sink.send(batch, signal);

    expect(messages()).toEqual(['first', 'again', 'again']);
  });
});
