import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { proxy } from '../../../test/support/proxy.ts';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secret.ts';
import { bodyHash } from '../../events/body-hash.ts';
import type { Credentials } from '../../identity/credential-source.ts';
import type { Denial } from '../../identity/denials.ts';
import type { AwsReach } from './aws-reach.ts';
import { logsCalls } from './logs-calls.ts';
import { readyMadeCall } from './ready-made-call.ts';

const { signal } = new AbortController();
const names = { logGroupName: '/gatehouse/web-1', logStreamName: 'app' };
const noProxy = { HTTPS_PROXY: undefined, NO_PROXY: undefined };

function bodyNow(): Buffer {
  return Buffer.from(JSON.stringify({ ...names, logEvents: [{ timestamp: Date.now(), message: 'one' }] }));
}

/** The sandbox with a log stream, and PutLogEvents with a session that can expire. */
async function setup({ tls = false, reach = {} }: { tls?: boolean; reach?: Partial<AwsReach> } = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen({ tls });
  const operator = sandbox.identities.createUser('operator');
  const plain = await sandbox.listen();
  const admin = new CloudWatchLogsClient({
    region: sandbox.region,
    endpoint: plain.url,
    credentials: operator,
  });
  await admin.send(new CreateLogGroupCommand({ logGroupName: names.logGroupName }));
  await admin.send(new CreateLogStreamCommand(names));

  const newSession = (): Credentials => {
    const { accessKeyId, secretAccessKey, sessionToken } = sandbox.identities.issueSession({
      role: 'GatehouseHost',
      sessionName: 'test',
      durationSeconds: 900,
    });
    return {
      accessKeyId,
      secretAccessKey: Secret.ofText(secretAccessKey),
      sessionToken: Secret.ofText(sessionToken),
      source: 'test',
    };
  };
  const held = {
    credentials: newSession(),
    denied: [] as Denial[],
    deniedAgain: [] as Denial[],
    accepted: [] as (readonly [service: string, accessKeyId: string | undefined])[],
  };
  const { call, close } = readyMadeCall({
    region: sandbox.region,
    proxyEnv: noProxy,
    ca: listener.caPem,
    ...reach,
    endpoint: async () => new URL(listener.url),
    credentials: async () => held.credentials,
    denials: {
      renew: async (denial) => {
        held.denied.push(denial);
        held.credentials = newSession();
        return true;
      },
      again: (denial) => void held.deniedAgain.push(denial),
      accepted: (service, accessKeyId) => void held.accepted.push([service, accessKeyId]),
    },
    serviceId: 'CloudWatch Logs',
    signingName: 'logs',
    target: 'Logs_20140328.PutLogEvents',
    hashOf: bodyHash,
    clock: systemClock,
  });
  onTestFinished(async () => {
    admin.destroy();
    close();
    await Promise.all([listener.close(), plain.close()]);
  });
  const puts = () => sandbox.calls.list().filter(({ operation }) => operation === 'PutLogEvents');
  return {
    sandbox,
    url: listener.url,
    held,
    puts,
    put: (body = bodyNow(), until = signal) => call(body, {}, until),
  };
}

/** A server that is not AWS. */
async function answering(listener: RequestListener, idleMs = 30_000) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const { call, close } = readyMadeCall({
    region: 'eu-west-1',
    proxyEnv: noProxy,
    ca: undefined,
    endpoint: async () => new URL(`http://127.0.0.1:${port}`),
    credentials: async () => ({
      accessKeyId: 'AKIA',
      secretAccessKey: Secret.ofText('secret'),
      source: 'test',
    }),
    denials: { renew: async () => false, again: () => undefined, accepted: () => undefined },
    serviceId: 'CloudWatch Logs',
    signingName: 'logs',
    target: 'Logs_20140328.PutLogEvents',
    hashOf: bodyHash,
    idleMs,
    clock: systemClock,
  });
  onTestFinished(() => {
    close();
    server.closeAllConnections();
    server.close();
  });
  return { call: (until = signal) => call(Buffer.from('{}'), {}, until) };
}

describe('a ready-made call', () => {
  test('is answered with what AWS answered, over one connection', async () => {
    const { put, puts, held } = await setup();

    expect(await put()).toMatchObject({});
    expect(await put()).toMatchObject({});

    expect(puts()).toHaveLength(2);
    expect(held.accepted).toEqual([
      ['CloudWatch Logs', held.credentials.accessKeyId],
      ['CloudWatch Logs', held.credentials.accessKeyId],
    ]);
  });

  test('goes over TLS, under the authorities that it is given, through the proxy', async () => {
    const { url: proxyUrl, tunnels } = await proxy();
    const { put, url } = await setup({
      tls: true,
      reach: { proxyEnv: { ...noProxy, HTTPS_PROXY: proxyUrl } },
    });

    await put();

    expect(tunnels).toEqual([new URL(url).host]);
  });

  test.each([true, false])('sends a body of a megabyte as it was signed (TLS: %s)', async (tls) => {
    const { put, puts } = await setup({ tls });
    const message = 'm'.repeat(1_000_000);
    const body = Buffer.from(JSON.stringify({ ...names, logEvents: [{ timestamp: Date.now(), message }] }));

    await put(body);
    await put(body);

    expect(puts().map(({ status }) => status)).toEqual([200, 200]);
  });

  test('trusts nobody else', async () => {
    const { put } = await setup({ tls: true, reach: { ca: undefined } });

    await expect(put()).rejects.toMatchObject({ code: expect.stringMatching(/CERT|SELF_SIGNED|UNABLE_TO/u) });
  });

  test('fails by the name that AWS gives the error', async () => {
    const { put, sandbox } = await setup();
    sandbox.faults.add({ service: 'logs', nth: 1, effect: { kind: 'throttle' } });

    await expect(put()).rejects.toMatchObject({
      name: 'ThrottlingException',
      $fault: 'client',
      $metadata: { httpStatusCode: 400, requestId: expect.any(String) },
    });
    await put();
  });

  test('with denied credentials is made again with newer ones, once', async () => {
    const { put, sandbox, held } = await setup();
    const { accessKeyId } = held.credentials;
    const effect = { kind: 'error', name: 'ExpiredTokenException', status: 400 } as const;
    sandbox.faults.add({ service: 'logs', nth: 1, effect });

    await put();

    expect(held.denied).toMatchObject([{ service: 'CloudWatch Logs', accessKeyId, mayBePermission: false }]);
    expect(held.deniedAgain).toEqual([]);

    sandbox.faults.add({ service: 'logs', effect });

    await expect(put()).rejects.toMatchObject({ name: 'ExpiredTokenException' });

    expect(held.denied).toHaveLength(2);
    expect(held.deniedAgain).toMatchObject([{ accessKeyId: held.credentials.accessKeyId }]);
  });

  test('signs by the time of AWS where this host is far off', async () => {
    const { put, puts, sandbox } = await setup();
    sandbox.faults.add({ effect: { kind: 'clock', offsetSeconds: 600 } });

    await put();
    await put();

    // The one that was refused told the time.
    expect(puts().map(({ status }) => status)).toEqual([400, 200, 200]);
  });

  test.each([
    ['a lost answer', { kind: 'lost-answer' }],
    ['a connection that is cut', { kind: 'cut' }],
    ['half an answer', { kind: 'half-body' }],
  ] as const)('fails with an errno after %s', async (_what, effect) => {
    const { put, sandbox } = await setup();
    sandbox.faults.add({ service: 'logs', nth: 1, effect });

    await expect(put()).rejects.toMatchObject({ code: expect.any(String) });
    await put();
  });

  test('ends with its signal', async () => {
    const { call } = await answering(() => undefined);
    const stop = new AbortController();
    const reason = new Error('enough');

    const made = call(stop.signal);
    stop.abort(reason);

    await expect(made).rejects.toBe(reason);
  });

  test('ends where nothing moves', async () => {
    const { call } = await answering(() => undefined, 20);

    await expect(call()).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test.each([
    [
      'a page of a proxy',
      502,
      '<html>',
      { name: 'UnknownError', $fault: 'server', $metadata: { httpStatusCode: 502 } },
    ],
    ['no JSON, and well', 200, '<html>', { name: 'UnknownError', $metadata: { httpStatusCode: 200 } }],
    [
      'an error with a namespace',
      400,
      '{"__type":"com.amazonaws.logs#Odd","Message":"m"}',
      { name: 'Odd', message: 'm' },
    ],
  ])('fails where the answer is %s', async (_what, status, text, failure) => {
    const { call } = await answering((request, response) => {
      request.resume().on('end', () => response.writeHead(status).end(text));
    });

    await expect(call()).rejects.toMatchObject(failure);
  });

  test('takes no more of an answer than it may have', async () => {
    const { call } = await answering((request, response) => {
      request.resume().on('end', () => response.writeHead(200).end('x'.repeat(2 * 2 ** 20)));
    });

    await expect(call()).rejects.toThrow(/longer than it may be/u);
  });
});

test.each([
  ['eu-west-1', {}, 'logs.eu-west-1.amazonaws.com'],
  ['cn-north-1', {}, 'logs.cn-north-1.amazonaws.com.cn'],
  ['us-east-1', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'logs-fips.us-east-1.amazonaws.com'],
  ['us-gov-east-1', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'logs.us-gov-east-1.amazonaws.com'],
  ['eu-west-1', { AWS_USE_DUALSTACK_ENDPOINT: 'true' }, 'logs.eu-west-1.api.aws'],
])('PutLogEvents goes where the SDK would go: %s, %j', async (region, env, host) => {
  const { url: proxyUrl, tunnels } = await proxy();
  const { putLogEvents, close } = logsCalls(
    {
      region,
      env: { ...env, HTTPS_PROXY: proxyUrl },
      credentials: async () => ({
        accessKeyId: 'AKIA',
        secretAccessKey: Secret.ofText('secret'),
        source: 'test',
      }),
      denials: { renew: async () => false, again: () => undefined, accepted: () => undefined },
    },
    systemClock,
  );
  onTestFinished(close);

  // Nothing listens where the proxy leads; what it was asked for is the fact.
  await expect(putLogEvents(bodyNow(), {}, signal)).rejects.toBeInstanceOf(Error);

  expect(tunnels).toEqual([`${host}:443`]);
});

test('nothing is sent in clear but to this host and its link', async () => {
  const { call } = readyMadeCall({
    region: 'eu-west-1',
    proxyEnv: noProxy,
    ca: undefined,
    endpoint: async () => new URL('http://192.0.2.1'),
    credentials: () => Promise.reject(new Error('not asked')),
    denials: { renew: async () => false, again: () => undefined, accepted: () => undefined },
    serviceId: 'CloudWatch Logs',
    signingName: 'logs',
    target: 'Logs_20140328.PutLogEvents',
    hashOf: bodyHash,
    clock: systemClock,
  });

  await expect(call(bodyNow(), {}, signal)).rejects.toMatchObject({ code: 'AWS_ENDPOINT_INSECURE' });
});
