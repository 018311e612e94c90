import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, contract, createBench, titled } from './contract.ts';
import { type SandboxTarget, startSandbox } from './sandbox-target.ts';

// Some cases make RSA keys, which takes seconds on a busy machine.
describe('the contract, against the sandbox', () => {
  let target: SandboxTarget;
  let bench: Bench & { close(): void };

  beforeAll(async () => {
    target = await startSandbox();
    bench = createBench(target);
  });

  afterAll(async () => {
    bench.close();
    await target.close();
  });

  describe.each(Object.entries(contract))('%s', (_service, cases) => {
    it.each(titled(cases))('%s', async (_title, fact) => {
      expect(await fact.run(bench)).toEqual(fact.expected);
    });
  });
});
