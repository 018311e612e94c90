import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { CallName } from './aws/slow-calls.ts';
import { bootstrapOf, openHost } from './host.ts';
import type { Launch } from './launch.ts';

/** A host whose AWS holds every call, on a clock that the test moves. */
async function setup(over: Partial<Launch> = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const held = sandbox.faults.add({ service: 'sts', effect: { kind: 'hold' } });
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('operator');
  const clock = fakeClock(new Date());
  const logged: string[] = [];
  const launch: Launch = {
    flags: {},
    env: {
      AWS_ENDPOINT_URL: listener.url,
      AWS_REGION: sandbox.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    clock,
    version: '0.0.0',
    logForm: 'json',
    writeLog: (line) => logged.push(line),
    ...over,
  };
  const host = openHost(launch, bootstrapOf(launch));
  onTestFinished(() => host.aws.close());
  const sts = await host.aws.sts();
  const call = sts.send(new GetCallerIdentityCommand({}));
  call.catch(() => undefined);
  await expect.poll(() => sandbox.faults.list().find(({ id }) => id === held)?.hits).toBe(1);
  await clock.advance(10_000);
  sandbox.faults.remove(held);
  await call;
  return logged.map((line): { readonly event?: string } => JSON.parse(line));
}

test('a call to AWS that is late is logged while it is waited for', async () => {
  const logged = await setup();

  expect(logged.find(({ event }) => event === 'aws.call-waits')).toMatchObject({
    level: 'warn',
    service: 'STS',
    operation: 'GetCallerIdentity',
    afterMs: 10_000,
  });
});

test('where somebody is to be told of it, he is told instead', async () => {
  const told: CallName[] = [];

  const logged = await setup({ onLateCall: (call) => told.push(call) });

  expect(told).toEqual([{ service: 'STS', operation: 'GetCallerIdentity' }]);
  expect(logged.filter(({ event }) => event === 'aws.call-waits')).toEqual([]);
});
