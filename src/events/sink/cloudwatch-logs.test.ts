import { describe, expect, onTestFinished, test } from 'vitest';
import type { FaultRule } from '../../../sandbox/faults.ts';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { logsCalls } from '../../agent/aws/logs-calls.ts';
import { systemClock } from '../../base/clock.ts';
import { GatehouseError } from '../../base/errors.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { type Batch, encodeChunk, openBatch, partOf } from '../batch.ts';
import { sinkContract } from '../sink.contract.ts';
import type { RefusedEvent } from '../spool.ts';
import { type CloudwatchLogsSinkOptions, cloudwatchLogsSink, type PutLogEvents } from './cloudwatch-logs.ts';

const stream = { logGroup: '/gatehouse/contract', logStream: 'contract' };
const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;
const { signal } = new AbortController();

type Options = Partial<CloudwatchLogsSinkOptions>;

async function setup(options: Options | ((putLogEvents: PutLogEvents) => Options) = {}) {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('agent');
  const { client, ...calls } = logsCalls(
    {
      region: sandbox.region,
      env: { AWS_ENDPOINT_URL: url },
      credentials: async () => ({
        accessKeyId,
        secretAccessKey: Secret.ofText(secretAccessKey),
        source: 'test',
      }),
      denials: { renew: async () => false, again: () => undefined, accepted: () => undefined },
    },
    systemClock,
  );
  onTestFinished(async () => {
    calls.close();
    await close();
  });
  const events: LogEvent[] = [];
  const wishes = new Set<string>();
  const clock = fakeClock();
  const sink = cloudwatchLogsSink({
    client,
    putLogEvents: calls.putLogEvents,
    createLogGroup: true,
    retentionWishes: {
      list: () => [...wishes],
      add: async (group) => void wishes.add(group),
      remove: async (group) => void wishes.delete(group),
    },
    clock,
    log: (event) => events.push(event),
    ...(typeof options === 'function' ? options(calls.putLogEvents) : options),
  });
  const group = () => sandbox.state.logs.groups[stream.logGroup];
  return {
    sandbox,
    client,
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

function lines(count: number, message: (index: number) => string): Batch {
  const timestamp = Date.now();
  const events = Array.from({ length: count }, (_, index) => ({ timestamp, message: message(index) }));
  return partOf(batchOf('x'), events);
}

/** Every put is invalid, as one with a bad name is. */
function refuseAll(fault: (rule: Omit<FaultRule, 'service'>) => void): void {
  fault({ operation: 'PutLogEvents', effect: { kind: 'error', name: 'InvalidParameterException' } });
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

  test('does not say that it created what was there', async () => {
    const { sink, said, fault, messages, operations } = await setup();
    await sink.send(batchOf('one'), signal);
    fault({
      operation: 'PutLogEvents',
      nth: 1,
      effect: { kind: 'error', name: 'ResourceNotFoundException' },
    });
    fault({
      operation: 'CreateLogStream',
      nth: 1,
      effect: { kind: 'error', name: 'ResourceNotFoundException' },
    });

    await sink.send(batchOf('two'), signal);

    expect(messages()).toEqual(['one', 'two']);
    expect(operations().filter((name) => name === 'CreateLogGroup')).toHaveLength(2);
    expect(said('events.group-created')).toMatchObject([
      { fields: { awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/u) } },
    ]);
    expect(said('events.stream-created')).toHaveLength(1);
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

  test('goes on in a batch that is partly delivered where a try ended, and repeats nothing', async () => {
    const { sink, messages, fault } = await setup();
    await sink.send(batchOf('first'), signal);
    const batch = lines(100, (index) => (index === 70 || index === 90 ? '' : `line ${index}`));
    for (const nth of [5, 9, 13]) fault({ operation: 'PutLogEvents', nth, effect: { kind: 'throttle' } });
    const tries: string[] = [];
    let refused: readonly RefusedEvent[] = [];

    for (let isTaken = false; !isTaken; ) {
      try {
        // As the spool reads it: another object with the same bytes.
        refused = await sink.send({ ...batch, body: Buffer.from(batch.body) }, signal);
        isTaken = true;
      } catch (error) {
        tries.push(error instanceof GatehouseError ? error.code : 'unknown');
      }
    }

    expect(tries).toEqual(['EVENTS_THROTTLED', 'EVENTS_THROTTLED', 'EVENTS_THROTTLED']);
    expect(refused).toMatchObject([{ reason: 'invalid' }, { reason: 'invalid' }]);
    expect(messages()).toHaveLength(99);
    expect(new Set(messages()).size).toBe(99);
  });

  test('holds a request to be invalid, and not each of its events, when none is taken', async () => {
    const { sink, fault, operations, messages, clock } = await setup();
    await sink.send(batchOf('first'), signal);
    const batch = lines(10_000, (index) => `line ${index}`);
    refuseAll(fault);
    const before = operations().length;

    await expect(sink.send(batch, signal)).rejects.toMatchObject({
      code: 'EVENTS_REQUEST_INVALID',
      details: stream,
    });
    const calls = operations().length - before;
    await expect(sink.send(batch, signal)).rejects.toMatchObject({ code: 'EVENTS_REQUEST_INVALID' });

    expect(calls).toBeLessThan(150);
    expect(operations().length - before).toBe(calls);
    await clock.advance(10 * 60 * 1000);
    await expect(sink.send(batch, signal)).rejects.toMatchObject({ code: 'EVENTS_REQUEST_INVALID' });
    expect(operations().length - before).toBeGreaterThan(calls);
    expect(messages()).toEqual(['first']);
  });

  test('delivers a held batch whole once the request is taken', async () => {
    const { sink, sandbox, fault, messages, clock } = await setup();
    await sink.send(batchOf('first'), signal);
    const batch = lines(500, (index) => `line ${index}`);
    refuseAll(fault);
    await expect(sink.send(batch, signal)).rejects.toMatchObject({ code: 'EVENTS_REQUEST_INVALID' });

    sandbox.faults.clear();
    await clock.advance(10 * 60 * 1000);

    expect(await sink.send(batch, signal)).toEqual([]);
    expect(messages()).toHaveLength(501);
  });

  test('refuses many bad events in a row one by one when others of their batch are taken', async () => {
    const { sink, messages } = await setup();
    await sink.send(batchOf('first'), signal);

    const refused = await sink.send(
      lines(200, (index) => (index < 50 ? '' : `line ${index}`)),
      signal,
    );

    expect(refused).toHaveLength(50);
    expect(messages()).toHaveLength(151);
  });

  test('counts over small batches what was never taken', async () => {
    const { sink, fault } = await setup();
    refuseAll(fault);
    const outcomes: string[] = [];

    for (let each = 0; each < 40; each += 1) {
      const outcome = sink.send(batchOf(`line ${each}`), signal).then(
        (refused) => refused[0]?.reason ?? 'taken',
        (error: unknown) => (error instanceof GatehouseError ? error.code : 'unknown'),
      );
      outcomes.push(await outcome);
    }

    expect(outcomes.filter((outcome) => outcome === 'invalid')).toHaveLength(31);
    expect(outcomes.slice(31)).toEqual(Array.from({ length: 9 }, () => 'EVENTS_REQUEST_INVALID'));
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

test('a group is made with its class, key and tags', async () => {
  const kmsKeyArn = 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c';
  const { sink, group } = await setup({
    group: { class: 'INFREQUENT_ACCESS', kmsKeyArn, tags: { team: 'web' } },
  });

  await sink.send(batchOf('one\n'), signal);

  expect(group()).toMatchObject({
    logGroupClass: 'INFREQUENT_ACCESS',
    kmsKeyId: kmsKeyArn,
    tags: { team: 'web' },
  });
});

test.each([
  [
    'has metrics in it, where they are expected',
    true,
    '{"_aws":{"CloudWatchMetrics":[]},"latency":1}',
    'json/emf',
  ],
  ['has none', true, '{"latency":1}', undefined],
  ['has metrics that are not expected', false, '{"_aws":{"CloudWatchMetrics":[]},"latency":1}', undefined],
])('a batch that %s', async (_what, mayHaveMetrics, line, header) => {
  const seen: unknown[] = [];
  const { sink, messages } = await setup((putLogEvents) => ({
    putLogEvents: (body, headers, until) => {
      seen.push(headers['x-amzn-logs-format']);
      return putLogEvents(body, headers, until);
    },
  }));

  await sink.send({ ...batchOf(`${line}\n`), mayHaveMetrics }, signal);

  expect(messages()).toEqual([line]);
  expect(new Set(seen)).toEqual(new Set([header]));
});

test('a batch is squeezed before it is signed, and is the same when it is sent again', async () => {
  const seen: { readonly body: Buffer; readonly encoding: string | undefined }[] = [];
  const { sink, fault, messages } = await setup((putLogEvents) => ({
    isSqueezed: true,
    putLogEvents: (body, headers, until) => {
      seen.push({ body, encoding: headers['content-encoding'] });
      return putLogEvents(body, headers, until);
    },
  }));
  const batch = batchOf('a line as others are\n'.repeat(1_000));
  fault({ operation: 'PutLogEvents', nth: 3, effect: { kind: 'lost-answer' } });
  await sink.send(batchOf('the stream is there\n'), signal);

  await expect(sink.send(batch, signal)).rejects.toBeInstanceOf(GatehouseError);
  await sink.send(batch, signal);

  const [first, second] = seen.slice(-2);
  expect(messages()).toHaveLength(1 + 2 * batch.events);
  expect(first?.encoding).toBe('gzip');
  expect(first?.body.length).toBeLessThan(batch.body.length / 10);
  expect(first?.body.equals(second?.body ?? Buffer.alloc(0))).toBe(true);
});
