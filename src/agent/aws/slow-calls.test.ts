import { expect, it } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { type CallName, slowCalls } from './slow-calls.ts';

const { signal } = new AbortController();

function setup() {
  const clock = fakeClock();
  const said: CallName[] = [];
  const slow = slowCalls(clock, (call) => said.push(call));
  const call = (service: string, operation: string, ms: number) =>
    slow.during({ service, operation }, () => clock.sleep(ms, signal));
  return { clock, said, slow, call };
}

it('a call that takes ten seconds is said while it is waited for, a quicker one is not', async () => {
  const { clock, said, call } = setup();

  const quick = call('KMS', 'Encrypt', 9_999);
  const late = call('KMS', 'Decrypt', 60_000);
  await clock.advance(9_999);
  await quick;
  expect(said).toEqual([]);
  await clock.advance(1);

  expect(said).toEqual([{ service: 'KMS', operation: 'Decrypt' }]);
  await clock.advance(60_000);
  await late;
  expect(clock.sleeping).toBe(0);
});

it('one service is said once, until one of its calls is quick again', async () => {
  const { clock, said, call } = setup();
  const late = async (service: string, operation: string) => {
    const made = call(service, operation, 20_000);
    await clock.advance(20_000);
    await made;
  };

  await late('KMS', 'Decrypt');
  await late('KMS', 'Encrypt');
  await late('STS', 'GetCallerIdentity');
  await call('KMS', 'Decrypt', 0);
  await late('KMS', 'GenerateDataKey');

  expect(said.map(({ operation }) => operation)).toEqual(['Decrypt', 'GetCallerIdentity', 'GenerateDataKey']);
});

it('what fails meanwhile fails as it would, and nothing is waited for any more', async () => {
  const { clock, said, slow } = setup();
  const refused = new Error('refused');

  await expect(
    slow.during({ service: 'KMS', operation: 'Decrypt' }, () => Promise.reject(refused)),
  ).rejects.toBe(refused);
  await clock.advance(60_000);

  expect(said).toEqual([]);
});
