import { expect, it } from 'vitest';
import { callsMax, createCalls } from './calls.ts';

it('the last calls are kept, and no more than so many', () => {
  const calls = createCalls();
  for (let status = 0; status < callsMax * 2 + 5; status += 1) {
    calls.record({
      time: new Date(0),
      service: status % 2 === 0 ? 'kms' : 'logs',
      operation: 'Decrypt',
      accessKeyId: undefined,
      status,
      outcome: 'answered',
    });
  }

  expect(calls.count()).toBe(callsMax);
  expect(calls.list().at(-1)?.status).toBe(callsMax * 2 + 4);
  expect(calls.count({ service: 'kms' })).toBe(callsMax / 2);
  expect(calls.list({ status: callsMax * 2 })).toHaveLength(1);
  calls.clear();
  expect(calls.count()).toBe(0);
});
