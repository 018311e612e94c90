import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { operatorLaunch } from '../../../test/support/operator-launch.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { Clock } from '../../base/clock.ts';
import { createMasterKey } from './create.ts';
import { masterKeyStatus } from './status.ts';

const never = new AbortController().signal;

it('is told within its time where KMS never answers, with why the state of the key is not known', async () => {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const { url, close } = await sandbox.listen({ port: 0 });
  onTestFinished(() => close());
  const credentials = sandbox.identities.createUser('operator');
  const kms = new KMSClient({ region: 'eu-west-1', endpoint: url, credentials });
  onTestFinished(() => kms.destroy());
  const { KeyMetadata: key } = await kms.send(new CreateKeyCommand({}));
  const folder = temporaryDirectory();
  const bootstrap = { name: 'web-1', stateDirectory: `${folder}/state` };
  const launch = operatorLaunch({ folder, url, credentials, bootstrap });
  const request = { keyId: key?.Arn, table: undefined, passwords: undefined };
  const { fingerprint } = await createMasterKey(launch, request, never);
  sandbox.faults.add({ service: 'kms', effect: { kind: 'hold' } });

  const clock = fakeClock();
  const limitsMs: number[] = [];
  const noted: Clock = {
    ...clock,
    deadline(ms, what, signal, work) {
      limitsMs.push(ms);
      return clock.deadline(ms, what, signal, work);
    },
  };
  let isOver = false;
  const asking = masterKeyStatus({ ...launch, clock: noted }, never).finally(() => (isOver = true));
  // Each question is out of time as soon as it waits: the SDK has limits of its own, by another clock.
  await vi.waitFor(async () => {
    await clock.advance(20_000);
    expect(isOver).toBe(true);
  }, patient);

  expect(limitsMs).toEqual([20_000, 20_000]);
  expect(await asking).toMatchObject({
    code: 69,
    status: {
      isReachable: false,
      failing: { code: 'DEADLINE_EXCEEDED', details: { what: 'KMS' } },
      bindingKey: { arn: key?.Arn, stateFailing: { code: 'DEADLINE_EXCEEDED' } },
      fingerprint,
    },
  });
});
