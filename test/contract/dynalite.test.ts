import { once } from 'node:events';
import type { Server } from 'node:http';
import dynalite from 'dynalite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bench, createBench, deviating, titled } from './contract.ts';
import { dynamoDbCases } from './dynamodb-cases.ts';
import { seen } from './outcome.ts';

/** A second DynamoDB that nobody here wrote. */
describe('the contract of DynamoDB, against dynalite', () => {
  let server: Server;
  let bench: Bench & { close(): void };

  beforeAll(async () => {
    server = dynalite({ createTableMs: 0, deleteTableMs: 0 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('no address');
    bench = createBench({
      endpoint: `http://127.0.0.1:${address.port}`,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'AKIADYNALITE', secretAccessKey: 'dynalite' },
      roleArn: '',
    });
  });

  afterAll(async () => {
    bench.close();
    server.close();
    await once(server, 'close');
  });

  it.each(titled(dynamoDbCases.filter((fact) => fact.dynalite === undefined)))('%s', async (_title, fact) => {
    expect(await fact.run(bench)).toEqual(fact.expected);
  });

  // A deviation that is gone fails here, and is to be taken out of the case.
  it.each(deviating(dynamoDbCases, 'dynalite'))(
    '%s; but of dynalite: %s',
    async (_title, _because, fact, deviation) => {
      expect(await seen(fact.run(bench))).toEqual(deviation.sees);
    },
  );
});
