import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { patient } from '../test/support/patience.ts';
import { createFaults, type FaultRule, parseFaults } from './faults.ts';
import { createSandbox } from './sandbox.ts';
import { SandboxError } from './sandbox-error.ts';
import { signedRequest } from './signed-request.ts';

const now = new Date('2026-11-22T12:00:00Z');

function setup() {
  const slept: number[] = [];
  const sleep = (ms: number) => Promise.resolve(slept.push(ms));
  const sandbox = createSandbox({ now: () => now, sleep });
  const user = sandbox.identities.createUser('alice');
  let created = 0;
  /** Creates a log group; says the answer's status, error name and body. */
  const create = async (credentials: Parameters<typeof signedRequest>[0]['credentials'] = user) => {
    created += 1;
    const request = await signedRequest({
      credentials,
      service: 'logs',
      date: now,
      headers: { 'x-amz-target': 'Logs_20140328.CreateLogGroup' },
      body: JSON.stringify({ logGroupName: `/${created}` }),
    });
    const { status, headers, body } = await sandbox.handle(request);
    return { status, name: headers['x-amzn-errortype'], date: headers['date'], text: body.toString() };
  };
  const groups = () => Object.keys(sandbox.state.logs.groups);
  const outcomes = () => sandbox.calls.list().map(({ outcome, status }) => [outcome, status]);
  return { sandbox, user, create, groups, outcomes, slept };
}

describe('a fault', () => {
  it('delays an answer', async () => {
    const { sandbox, create, slept } = setup();
    sandbox.faults.add({ effect: { kind: 'latency', ms: 1500 } });

    expect((await create()).status).toBe(200);

    expect(slept).toEqual([1500]);
  });

  it('holds calls until it is taken away, however long that is', async () => {
    const { sandbox, create, groups } = setup();
    const id = sandbox.faults.add({ effect: { kind: 'hold' } });

    const held = [create(), create()];
    await vi.waitFor(() => expect(sandbox.faults.list()[0]?.hits).toBe(2), patient);
    const before = groups();
    sandbox.faults.remove(id);

    expect(before).toEqual([]);
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
    expect(groups()).toHaveLength(2);
  });

  it('throttles in the words of a JSON service, and nothing is done', async () => {
    const { sandbox, create, groups } = setup();
    sandbox.faults.add({ effect: { kind: 'throttle' } });

    expect(await create()).toMatchObject({ status: 400, name: 'ThrottlingException' });
    expect(groups()).toEqual([]);
  });

  it('throttles each other endpoint in its own words', async () => {
    const { sandbox } = setup();
    sandbox.faults.add({ effect: { kind: 'throttle' } });
    const ask = async (target: string, headers: [string, string][] = [], method = 'GET') => {
      const { status, body } = await sandbox.handle({ method, target, headers, body: Buffer.alloc(0) });
      return { status, text: body.toString() };
    };

    const sts = await ask('/', [['content-type', 'application/x-www-form-urlencoded']], 'POST');
    const metadata = await ask('/latest/meta-data/instance-id');
    const container = await ask(sandbox.container.path);

    expect(sts.status).toBe(400);
    expect(sts.text).toContain('<Code>Throttling</Code>');
    expect(metadata.status).toBe(503);
    expect(container).toMatchObject({ status: 429, text: expect.stringContaining('ThrottlingException') });
  });

  it('answers any error', async () => {
    const { sandbox, create } = setup();
    sandbox.faults.add({
      effect: { kind: 'error', name: 'ServiceUnavailableException', message: 'away', status: 503 },
    });

    const refused = await create();

    expect(refused).toMatchObject({ status: 503, name: 'ServiceUnavailableException' });
    expect(JSON.parse(refused.text)).toEqual({ __type: 'ServiceUnavailableException', message: 'away' });
  });

  it('loses the answer after the work was done', async () => {
    const { sandbox, create, groups, outcomes } = setup();
    sandbox.faults.add({ effect: { kind: 'lost-answer' } });

    await expect(create()).rejects.toMatchObject({ code: 'ECONNRESET' });

    expect(groups()).toEqual(['/1']);
    expect(outcomes()).toEqual([['lost', 200]]);
  });

  it('cuts the connection before the work', async () => {
    const { sandbox, create, groups, outcomes } = setup();
    sandbox.faults.add({ effect: { kind: 'cut' } });

    await expect(create()).rejects.toMatchObject({ code: 'ECONNRESET' });

    expect(groups()).toEqual([]);
    expect(outcomes()).toEqual([['cut', undefined]]);
  });

  it('puts the clock off, in the Date header and in what is expired', async () => {
    const { sandbox, create } = setup();
    sandbox.faults.add({ effect: { kind: 'clock', offsetSeconds: 299 } });
    expect(await create()).toMatchObject({ status: 200, date: 'Sun, 22 Nov 2026 12:04:59 GMT' });

    sandbox.faults.add({ effect: { kind: 'clock', offsetSeconds: 2 } });
    expect(await create()).toMatchObject({ status: 400, name: 'InvalidSignatureException' });
  });

  it('lets the credentials of a call expire', async () => {
    const { sandbox, create } = setup();
    const role = { role: 'GatehouseHost', sessionName: 's1', durationSeconds: 900 };
    const session = sandbox.identities.issueSession(role);
    const other = sandbox.identities.issueSession(role);
    sandbox.faults.add({ nth: 2, effect: { kind: 'expire-credentials' } });

    expect(await create(session)).toMatchObject({ status: 200 });
    expect(await create(session)).toMatchObject({ status: 400, name: 'ExpiredTokenException' });
    expect(await create(session)).toMatchObject({ status: 400, name: 'ExpiredTokenException' });
    expect(await create(other)).toMatchObject({ status: 200 });
  });

  it('is gone when it is removed', async () => {
    const { sandbox, create } = setup();
    const id = sandbox.faults.add({ effect: { kind: 'throttle' } });
    expect(sandbox.faults.remove(id)).toBe(true);

    expect((await create()).status).toBe(200);
    expect(sandbox.faults.remove(id)).toBe(false);
  });
});

describe('over HTTP', () => {
  it.each(['cut', 'lost-answer'] as const)('%s closes the connection without an answer', async (kind) => {
    const { sandbox, call } = await client();
    sandbox.faults.add({ count: 1, effect: { kind } });

    await expect(call()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect(call()).resolves.toBeDefined();
  });

  it('half-body promises a length and breaks off in the middle', async () => {
    const { sandbox, url } = await client();
    sandbox.faults.add({ effect: { kind: 'half-body' } });

    const response = await fetch(`${url}/latest/meta-data/instance-id`);
    const promised = Number(response.headers.get('content-length'));
    const reader = response.body?.getReader();
    let length = 0;
    const readAll = async () => {
      for (;;) {
        const part = await reader?.read();
        if (part === undefined || part.done) return;
        length += part.value.length;
      }
    };

    await expect(readAll()).rejects.toThrow(/terminated/u);
    expect(length).toBe(Math.floor(promised / 2));
  });

  it('an SDK that may try again gets through a cut and a throttle', async () => {
    const { sandbox, url } = await client();
    sandbox.faults.add({ nth: 1, effect: { kind: 'cut' } });
    sandbox.faults.add({ nth: 2, effect: { kind: 'throttle' } });
    const credentials = sandbox.identities.createUser('bob');
    const sts = new STSClient({ endpoint: url, region: 'eu-west-1', credentials, maxAttempts: 3 });

    await sts.send(new GetCallerIdentityCommand({}));

    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([undefined, 400, 200]);
  });
});

describe('which calls a fault hits', () => {
  const ten = Array.from({ length: 10 }, () => ['kms', 'Decrypt'] as const);

  it('is said by service and operation', () => {
    const calls = [
      ['kms', 'Decrypt'],
      ['kms', 'Encrypt'],
      ['logs', 'Decrypt'],
    ] as const;

    expect(hits({}, calls)).toEqual([1, 2, 3]);
    expect(hits({ service: 'kms' }, calls)).toEqual([1, 2]);
    expect(hits({ service: 'kms', operation: 'Decrypt' }, calls)).toEqual([1]);
  });

  it('is said by number', () => {
    expect(hits({ nth: 3 }, ten)).toEqual([3]);
    expect(hits({ count: 2 }, ten)).toEqual([1, 2]);
    expect(hits({ probability: 0 }, ten)).toEqual([]);
    expect(hits({ probability: 1 }, ten)).toHaveLength(10);
  });

  it('by chance is the same for the same seed, and about as often as said', () => {
    const many = Array.from({ length: 2000 }, () => ['kms', 'Decrypt'] as const);

    const first = hits({ probability: 0.25, seed: 7 }, many);

    expect(hits({ probability: 0.25, seed: 7 }, many)).toEqual(first);
    expect(hits({ probability: 0.25, seed: 8 }, many)).not.toEqual(first);
    expect(first.length).toBeGreaterThan(400);
    expect(first.length).toBeLessThan(600);
  });
});

describe('a faults document', () => {
  it.each([
    [{}, 'faults'],
    [{ faults: [{}] }, 'faults[0].effect'],
    [{ faults: [{ effect: { kind: 'explode' } }] }, 'faults[0].effect.kind'],
    [
      { faults: [{ effect: { kind: 'cut' } }, { effect: { kind: 'latency', ms: -1 } }] },
      'faults[1].effect.ms',
    ],
    [{ faults: [{ service: 's3', effect: { kind: 'cut' } }] }, 'faults[0].service'],
    [{ faults: [{ probability: 1.5, effect: { kind: 'cut' } }] }, 'faults[0].probability'],
    [{ faults: [{ nth: 1, count: 1, effect: { kind: 'cut' } }] }, 'faults[0].count'],
    [{ faults: [{ when: 1, effect: { kind: 'cut' } }] }, 'faults[0]'],
  ])('%j is refused, with the path', (document, path) => {
    const error = errorOf(() => parseFaults(document));

    expect(error).toMatchObject({ code: 'SANDBOX_FAULTS_INVALID', problems: [{ path }] });
  });

  it('of anything at all is parsed or refused with a typed error', () => {
    const documents = fc.oneof(
      fc.jsonValue(),
      fc.record({ faults: fc.array(fc.record({ effect: fc.jsonValue(), nth: fc.jsonValue() })) }),
    );

    fc.assert(
      fc.property(documents, (value) => {
        expect(errorOf(() => parseFaults(value))).toSatisfy(
          (error) => error === undefined || error instanceof SandboxError,
        );
      }),
    );
  });
});

async function client() {
  const sandbox = createSandbox();
  const credentials = sandbox.identities.createUser('alice');
  const { url, close } = await sandbox.listen();
  onTestFinished(close);
  const sts = new STSClient({ endpoint: url, region: 'eu-west-1', credentials, maxAttempts: 1 });
  return { sandbox, url, call: () => sts.send(new GetCallerIdentityCommand({})) };
}

function hits(rule: Omit<FaultRule, 'effect'>, calls: readonly (readonly [string, string])[]): number[] {
  const faults = createFaults();
  faults.add({ ...rule, effect: { kind: 'cut' } });
  return calls.flatMap(([service, operation], index) =>
    faults.effectsOn(service, operation).length > 0 ? [index + 1] : [],
  );
}

function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
