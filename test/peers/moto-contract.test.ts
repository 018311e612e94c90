import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, contract, createBench, deviating, titled } from '../contract/contract.ts';
import { seen } from '../contract/outcome.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { arePeersMissing } from './support/peer.ts';

describe.skipIf(arePeersMissing('moto'))('the contract, against moto', () => {
  let moto: Moto;
  let bench: Bench & { close(): void };

  beforeAll(async () => {
    moto = await startMoto();
    bench = createBench(moto);
  });

  afterAll(async () => {
    bench.close();
    await moto.close();
  });

  describe.each(Object.entries(contract))('%s', (_service, cases) => {
    it.each(titled(cases.filter((fact) => fact.moto === undefined)))('%s', async (_title, fact) => {
      expect(await fact.run(bench)).toEqual(fact.expected);
    });

    // A deviation that is gone fails here, and is to be taken out of the case.
    it.each(deviating(cases, 'moto'))('%s; but of moto: %s', async (_title, _because, fact, deviation) => {
      expect(await seen(fact.run(bench))).toEqual(deviation.sees);
    });
  });
});
