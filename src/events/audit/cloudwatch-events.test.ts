import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { readMessages, retentionDaysOf } from './cloudwatch-events.ts';

const never = new AbortController().signal;
const stream = { logGroup: 'g', logStream: 's' };
const place = { logGroupName: 'g', logStreamName: 's' };

async function setup() {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('auditor');
  const client = new CloudWatchLogsClient({
    endpoint: url,
    region: sandbox.region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
  onTestFinished(async () => {
    client.destroy();
    await close();
  });
  await client.send(new CreateLogGroupCommand({ logGroupName: 'g' }));
  await client.send(new CreateLogStreamCommand(place));
  const now = Date.now();
  const put = (messages: readonly string[], timestamp = now) =>
    client.send(
      new PutLogEventsCommand({ ...place, logEvents: messages.map((message) => ({ timestamp, message })) }),
    );
  return { client, put, now };
}

async function all(messages: AsyncIterable<string>): Promise<string[]> {
  const read: string[] = [];
  for await (const message of messages) read.push(message);
  return read;
}

test('reads every page, oldest first', async () => {
  const { client, put } = await setup();
  const long = Array.from({ length: 6 }, (_, number) => `${number}${'x'.repeat(400_000)}`);
  for (const message of long) await put([message]);

  expect(await all(readMessages(client, stream, {}, never))).toEqual(long);
});

test('reads from a time on', async () => {
  const { client, put, now } = await setup();
  await put(['old'], now - 60_000);
  await put(['new'], now);

  expect(await all(readMessages(client, stream, { sinceMs: now - 1_000 }, never))).toEqual(['new']);
});

test('a stream or group that is not there has no messages', async () => {
  const { client } = await setup();
  const at = (logGroup: string, logStream: string) =>
    all(readMessages(client, { logGroup, logStream }, {}, never));

  expect(await at('g', 's')).toEqual([]);
  expect(await at('g', 'other')).toEqual([]);
  expect(await at('other', 's')).toEqual([]);
});

test('a stream beyond the bound is refused', async () => {
  const { client, put } = await setup();
  await put(['1', '2', '3']);

  await expect(all(readMessages(client, stream, { eventsMax: 2 }, never))).rejects.toMatchObject({
    code: 'EVENTS_AUDIT_TOO_LONG',
  });
});

test.each([
  ['AccessDeniedException', 'EVENTS_AUDIT_UNREADABLE', 77],
  ['ServiceUnavailableException', 'EVENTS_UNREACHABLE', 69],
  ['ThrottlingException', 'EVENTS_THROTTLED', 75],
])('%s becomes %s', async (name, code, exitCode) => {
  const client = {
    send: () => Promise.reject(Object.assign(new Error('a message that is not ours'), { name })),
  };

  await expect(all(readMessages(client, stream, {}, never))).rejects.toMatchObject({
    code,
    row: { exitCode },
  });
});

test('says for how long a group keeps events, and nothing where it may not be asked', async () => {
  const { client } = await setup();
  await client.send(new CreateLogGroupCommand({ logGroupName: 'g2' }));
  await client.send(new PutRetentionPolicyCommand({ logGroupName: 'g2', retentionInDays: 30 }));
  const denied = { send: () => Promise.reject(new Error('denied')) };

  expect(await retentionDaysOf(client, 'g2', never)).toBe(30);
  expect(await retentionDaysOf(client, 'g', never)).toBeUndefined();
  expect(await retentionDaysOf(denied, 'g2', never)).toBeUndefined();
});
