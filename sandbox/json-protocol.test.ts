import { gzipSync } from 'node:zlib';
import { KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import { describe, expect, it, onTestFinished } from 'vitest';
import { unpackedBytesMax } from './json-protocol.ts';
import { createSandbox } from './sandbox.ts';
import type { RawRequest } from './service.ts';
import { type SignedRequestParts, signedRequest, withHeader } from './signed-request.ts';

const now = new Date('2026-11-22T12:00:00Z');

function setup() {
  const sandbox = createSandbox({ now: () => now });
  const user = sandbox.identities.createUser('alice');
  const sign = (parts: Partial<SignedRequestParts> = {}) =>
    signedRequest({
      credentials: user,
      service: 'logs',
      date: now,
      body: '{"logGroupName":"/a"}',
      ...parts,
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'Logs_20140328.CreateLogGroup',
        ...parts.headers,
      },
    });
  const answer = async (request: RawRequest) => {
    const { status, headers, body } = await sandbox.handle(request);
    const error = headers['x-amzn-errortype'];
    return { status, headers, error, body: body.length === 0 ? undefined : JSON.parse(body.toString()) };
  };
  return { sandbox, user, sign, answer };
}

describe('a JSON service', () => {
  it('answers a verified call, with the clock and a request id', async () => {
    const { sign, answer, sandbox } = setup();

    const { status, headers, body } = await answer(await sign());

    expect(status).toBe(200);
    expect(body).toBeUndefined();
    expect(headers['content-type']).toBe('application/x-amz-json-1.1');
    expect(headers['x-amzn-requestid']).toMatch(/^[0-9a-f-]{36}$/u);
    expect(headers['date']).toBe('Sun, 22 Nov 2026 12:00:00 GMT');
    expect(Object.keys(sandbox.state.logs.groups)).toEqual(['/a']);
  });

  it('opens a gzip body, whose packed bytes are the signed ones', async () => {
    const { sign, answer, sandbox } = setup();
    const headers = { 'content-encoding': 'gzip' };

    const { status } = await answer(await sign({ headers, body: gzipSync('{"logGroupName":"/zipped"}') }));

    expect(status).toBe(200);
    expect(Object.keys(sandbox.state.logs.groups)).toEqual(['/zipped']);
  });

  it.each([
    ['MissingAuthenticationTokenException', () => undefined],
    ['IncompleteSignatureException', () => 'AWS4-HMAC-SHA256 Credential=x'],
    ['InvalidSignatureException', (value: string) => value.replace(/.{4}$/u, 'zzzz')],
    ['UnrecognizedClientException', (value: string) => value.replace(/=AKIA[^/]+/u, '=AKIANOBODY')],
  ])('refuses with %s 400 and does nothing', async (name, change) => {
    const { sign, answer, sandbox } = setup();

    const refused = await answer(withHeader(await sign(), 'authorization', change));

    expect(refused).toMatchObject({ status: 400, error: name, body: { __type: name } });
    expect(refused.body.message).toMatch(/\w/u);
    expect(sandbox.state.logs.groups).toEqual({});
  });

  it('refuses with ExpiredTokenException 400', async () => {
    const { sandbox, sign, answer } = setup();
    const session = sandbox.identities.issueSession({
      role: 'GatehouseHost',
      sessionName: 's1',
      durationSeconds: 900,
    });
    sandbox.identities.expire();

    const refused = await answer(await sign({ credentials: session }));

    expect(refused).toMatchObject({ status: 400, body: { __type: 'ExpiredTokenException' } });
  });

  it.each([
    ['of an operation it has not', 'Logs_20140328.Nothing'],
    ['of a member every object has', 'Logs_20140328.constructor'],
    ['with more after the operation', 'Logs_20140328.CreateLogGroup.x'],
  ])('refuses a target %s', async (_what, target) => {
    const { sign, answer } = setup();

    const refused = await answer(await sign({ headers: { 'x-amz-target': target } }));

    expect(refused).toMatchObject({ status: 400, body: { __type: 'UnknownOperationException' } });
  });

  it.each([
    ['cut short', '{"logGroupName":"/a"', {}],
    ['that is a list', '[]', {}],
    ['that is null', 'null', {}],
    ['that is empty', '', {}],
    ['that is no UTF-8', Buffer.from('7b2261223a22ff227d', 'hex'), {}],
    ['that says gzip and is not', '{"logGroupName":"/a"}', { 'content-encoding': 'gzip' }],
    ['in an encoding it has not', '{"logGroupName":"/a"}', { 'content-encoding': 'br' }],
  ])('refuses a body %s with SerializationException', async (_what, body, headers) => {
    const { sign, answer } = setup();

    const refused = await answer(await sign({ body, headers }));

    expect(refused).toMatchObject({ status: 400, body: { __type: 'SerializationException' } });
  });

  it('refuses a gzip bomb', async () => {
    const { sign, answer } = setup();
    const body = gzipSync(`{"logGroupName":"/a"}${' '.repeat(unpackedBytesMax)}`);

    const refused = await answer(await sign({ body, headers: { 'content-encoding': 'gzip' } }));

    expect(refused).toMatchObject({ status: 400, body: { __type: 'SerializationException' } });
  });

  it("takes a signature of one service for no other's", async () => {
    const { sign, answer } = setup();

    const refused = await answer(await sign({ service: 'kms' }));

    expect(refused.body).toEqual({
      __type: 'InvalidSignatureException',
      message: "Credential should be scoped to correct service: 'logs'. ",
    });
  });
});

describe('what is of no service here', () => {
  it('gets an error in the shape of rest-json', async () => {
    const { sign, answer } = setup();

    const refused = await answer(await sign({ headers: { 'x-amz-target': 'SageMaker.ListModels' } }));
    const plain = await answer({ method: 'GET', target: '/', headers: [], body: Buffer.alloc(0) });

    expect(refused).toMatchObject({ status: 404, error: 'UnknownOperationException' });
    expect(refused.body).toEqual({ message: 'No service here answers this request.' });
    expect(plain).toMatchObject({ status: 404, error: 'UnknownOperationException' });
  });
});

describe('a mistake of the sandbox itself', () => {
  it('is a 500, and is kept for the test to see', async () => {
    const { sandbox, sign, answer } = setup();
    Object.assign(sandbox.state.logs, { groups: undefined });

    const failed = await answer(await sign());

    expect(failed).toMatchObject({ status: 500, body: { __type: 'InternalFailure' } });
    expect(sandbox.defects).toHaveLength(1);
  });
});

describe('the real SDK over HTTP', () => {
  it('is served over one kept connection, and over TLS by who trusts the CA', async () => {
    const sandbox = createSandbox();
    const credentials = sandbox.identities.createUser('alice');
    const plain = await sandbox.listen();
    const secure = await sandbox.listen({ tls: true, host: '127.0.0.1' });
    onTestFinished(async () => {
      await plain.close();
      await secure.close();
    });

    const client = new KMSClient({ endpoint: plain.url, region: 'eu-west-1', credentials });
    const distrusting = new KMSClient({
      endpoint: secure.url,
      region: 'eu-west-1',
      credentials,
      maxAttempts: 1,
    });
    const trusting = new KMSClient({
      endpoint: secure.url.replace('127.0.0.1', 'localhost'),
      region: 'eu-west-1',
      credentials,
      requestHandler: { httpsAgent: { ca: secure.caPem } },
    });

    expect((await client.send(new ListKeysCommand({}))).Keys).toEqual([]);
    await expect(distrusting.send(new ListKeysCommand({}))).rejects.toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
    expect((await trusting.send(new ListKeysCommand({}))).Keys).toEqual([]);
    expect(sandbox.calls.list().map(({ status }) => status)).toEqual([200, 200]);
  });
});
