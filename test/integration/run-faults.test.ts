import { DeleteLogGroupCommand, DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { describe, expect, it } from 'vitest';
import type { FaultRule } from '../../sandbox/faults.ts';
import { eventually, logGroup, numbered, setup } from '../support/host.ts';

const total = 5000;

describe('every line arrives, in order and none twice', () => {
  it.each<[string, Omit<FaultRule, 'service'>]>([
    ['when CloudWatch Logs throttles', { operation: 'PutLogEvents', count: 4, effect: { kind: 'throttle' } }],
    [
      'when it fails on its side',
      {
        operation: 'PutLogEvents',
        count: 4,
        effect: { kind: 'error', name: 'InternalFailure', status: 500 },
      },
    ],
    ['when connections break', { operation: 'PutLogEvents', count: 4, effect: { kind: 'cut' } }],
    [
      'when the group cannot be made at first',
      { operation: 'CreateLogGroup', count: 2, effect: { kind: 'throttle' } },
    ],
    [
      'when the stream cannot be made at first',
      { operation: 'CreateLogStream', count: 3, effect: { kind: 'cut' } },
    ],
  ])('%s', async (_what, fault) => {
    const host = await setup();
    host.sandbox.faults.add({ service: 'logs', ...fault });
    const agent = await host.started();

    for (let first = 0; first < total; first += 1000) host.log(numbered(1000, first));
    await host.arrived(total);
    await agent.stop();

    expect(host.messages()).toStrictEqual(numbered(total));
    expect(host.sandbox.faults.list()[0]?.hits).toBeGreaterThan(0);
  });
});

describe('every line arrives, and only whole batches come again', () => {
  it.each<[string, FaultRule['effect']]>([
    ['when answers are lost', { kind: 'lost-answer' }],
    ['when answers are cut in half', { kind: 'half-body' }],
  ])('%s', async (_what, effect) => {
    const host = await setup();
    const agent = await host.started();
    host.log(numbered(1));
    await host.arrived(1);
    host.sandbox.faults.add({ service: 'logs', operation: 'PutLogEvents', count: 3, effect });

    for (let first = 1; first < total; first += 1000)
      host.log(numbered(Math.min(1000, total - first), first));
    await host.arrivedOnce(total);
    await agent.stop();

    const distinct = [...new Set(host.batches().map((batch) => batch.join('\n')))];
    expect(distinct.flatMap((batch) => batch.split('\n'))).toStrictEqual(numbered(total));
    expect(host.batches().length).toBeLessThanOrEqual(distinct.length + 3);
  });
});

it('a log group that is deleted under the agent is made again, and nothing that comes after is lost', async () => {
  const host = await setup();
  const agent = await host.started();
  host.log(numbered(100));
  await host.arrived(100);
  await host.operator.logs.send(new DeleteLogGroupCommand({ logGroupName: logGroup }));

  host.log(numbered(100, 100));

  expect(await host.arrived(100)).toStrictEqual(numbered(100, 100));
  const created = () => agent.lines().filter(({ event }) => event === 'events.group-created');
  await eventually('both are said', () => created().length >= 2);
  expect(created()).toHaveLength(2);
});

it('a log group that is made has its retention', async () => {
  const host = await setup({
    gateway: (document) => {
      if (document.events !== undefined) document.events['retentionDays'] = 30;
    },
  });
  await host.started();

  host.log(numbered(10));
  await host.arrived(10);

  const found = await eventually('the retention', async () => {
    const { logGroups = [] } = await host.operator.logs.send(new DescribeLogGroupsCommand({}));
    return logGroups.find(({ retentionInDays }) => retentionInDays !== undefined);
  });
  expect(found.retentionInDays).toBe(30);
});

it('a host whose clock is a quarter of an hour off works all the same', async () => {
  const host = await setup();
  host.sandbox.faults.add({ effect: { kind: 'clock', offsetSeconds: 900 } });

  await host.started();
  host.log(numbered(10));

  expect(await host.arrived(10)).toStrictEqual(numbered(10));
  expect(host.delivered() === host.password.value).toBe(true);
});

it('a Secrets Manager that throttles at the start is asked again', async () => {
  const host = await setup();
  host.sandbox.faults.add({ service: 'secretsmanager', count: 2, effect: { kind: 'throttle' } });

  await host.started();

  expect(host.delivered() === host.password.value).toBe(true);
});

it('a Secrets Manager that stays away fails the start with exit code 69', async () => {
  const host = await setup();
  host.sandbox.faults.add({ service: 'secretsmanager', effect: { kind: 'cut' } });

  const { code, stderr } = await host.start().finished;

  expect(stderr).toContain('(SECRET_UNREACHABLE)');
  expect(code).toBe(69);
});
