import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { systemClock } from '../base/clock.ts';
import { container, containerEndpoint } from './container.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import { deadEndpoint, scriptedEndpoint } from './endpoint.contract.ts';

const signal = new AbortController().signal;
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();

function reply(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    AccessKeyId: 'ASIACONTAINER',
    SecretAccessKey: 'container-secret',
    Token: 'container-token',
    Expiration: inAnHour(),
    ...changes,
  });
}

async function setup(status: number, body: string) {
  const authorizations: (string | undefined)[] = [];
  const endpoint = await scriptedEndpoint((request, response) => {
    authorizations.push(request.headers.authorization);
    response.writeHead(status).end(body);
  });
  const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${endpoint.url}/v1/credentials` };
  return { endpoint, authorizations, env, source: container(env, systemClock) };
}

/** An endpoint that takes the question and says nothing; `left` when whoever asks has gone. */
async function silent() {
  const [arrived, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { url } = await scriptedEndpoint((request) => {
    request.socket.on('close', left.resolve);
    arrived.resolve();
  });
  const clock = fakeClock(new Date());
  const source = container({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url }, clock);
  return { clock, arrived: arrived.promise, left: left.promise, source };
}

credentialSourceContract('container', {
  working: async () => {
    const { source } = await setup(200, reply());
    return { source, accessKeyId: 'ASIACONTAINER', secretAccessKey: 'container-secret' };
  },
  absent: async () => container({}, systemClock),
  failing: async (secretText) => (await setup(200, `{"SecretAccessKey":"${secretText}`)).source,
});

describe('the container endpoint', () => {
  test('is the relative one when both are given', () => {
    const endpoint = containerEndpoint({
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/id',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1/other',
    });

    expect(endpoint).toBe('http://169.254.170.2/v2/credentials/id');
  });

  test('gets the token that its file holds at that moment', async () => {
    const { env, authorizations } = await setup(200, reply());
    const file = join(temporaryDirectory(), 'token');
    const source = container({ ...env, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file }, systemClock);

    writeFileSync(file, 'first\n');
    await source.load(signal);
    writeFileSync(file, 'second');
    await source.load(signal);

    expect(authorizations).toEqual(['first', 'second']);
  });

  test('gets the token of the file when both are given, and of the variable when there is no file', async () => {
    const { env, authorizations } = await setup(200, reply());
    const file = join(temporaryDirectory(), 'token');
    writeFileSync(file, 'of-file');
    const variable = { ...env, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'of-variable' };

    await container({ ...variable, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file }, systemClock).load(signal);
    await container(variable, systemClock).load(signal);

    expect(authorizations).toEqual(['of-file', 'of-variable']);
  });

  test.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['holds two lines', 'one\ntwo'],
    ['holds what no header can', 'tok\u2014en'],
  ])('is not asked when the token file %s', async (_what, content) => {
    const { env, endpoint } = await setup(200, reply());
    const file = join(temporaryDirectory(), 'token');
    if (content !== undefined) writeFileSync(file, content);
    const source = container({ ...env, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file }, systemClock);

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_TOKEN_UNUSABLE',
      details: { file },
    });
    expect(endpoint.asked).toEqual([]);
  });

  test.each([
    [403, '{"code":"AccessDenied","message":"no"}', 'CREDENTIALS_CONTAINER_REFUSED'],
    [404, '', 'CREDENTIALS_CONTAINER_REFUSED'],
    [429, '', 'CREDENTIALS_THROTTLED'],
    [500, '', 'CREDENTIALS_CONTAINER_UNREACHABLE'],
    [200, 'no JSON', 'CREDENTIALS_DOCUMENT_INVALID'],
    [200, '{}', 'CREDENTIALS_DOCUMENT_INVALID'],
    [200, reply({ Expiration: 'soon' }), 'CREDENTIALS_DOCUMENT_INVALID'],
    [200, reply({ SecretAccessKey: '' }), 'CREDENTIALS_DOCUMENT_INVALID'],
    [200, reply({ Expiration: '2020-01-01T00:00:00Z' }), 'CREDENTIALS_HANDED_OUT_EXPIRED'],
  ])('that answers %i %j fails with the right error, after one call', async (status, body, code) => {
    const { source, endpoint } = await setup(status, body);

    await expect(source.load(signal)).rejects.toMatchObject({ code });
    expect(endpoint.asked).toHaveLength(1);
  });

  test.each([
    ['{"code":"InvalidIdInRequest","message":"CredentialsV2Request: ID not found"}', 'InvalidIdInRequest'],
    ['{"code":"not a code"}', undefined],
    ['Access denied', undefined],
  ])('that refuses with %s says so in words that help on a container', async (body, awsError) => {
    const { source } = await setup(400, body);

    const failure = await source.load(signal).catch((error: unknown) => error);

    expect(failure).toMatchObject({ details: { status: 400 }, row: { exitCode: 77, retry: false } });
    expect(failure).toHaveProperty('details.awsError', awsError);
    expect(failure).toHaveProperty('row.remedy', expect.stringMatching(/ECS.*EKS/u));
    expect(failure).toHaveProperty('row.remedy', expect.not.stringMatching(/certificate|anchor/u));
  });

  test('where nothing listens is out of reach', async () => {
    const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: await deadEndpoint() };

    const loading = container(env, systemClock).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_CONTAINER_UNREACHABLE' });
  });

  test('that takes the connection and says nothing is given up on', async () => {
    const { clock, arrived, left, source } = await silent();

    const waiting = arrived.then(() => clock.advance(5000));

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_CONTAINER_UNREACHABLE' });
    await waiting;
    await left;
  });

  test('that says nothing is let go of when the program is told to stop', async () => {
    const { arrived, left, source } = await silent();
    const stop = new AbortController();

    const loading = source.load(stop.signal);
    await arrived;
    stop.abort(new Error('SIGTERM'));

    await expect(loading).rejects.toThrow('SIGTERM');
    await left;
  });

  test('that answers more than credentials take is not read on', async () => {
    const { source } = await setup(200, reply({ Token: 'x'.repeat(100_000) }));

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_DOCUMENT_INVALID' });
  });

  test('is asked over https where it says so', async () => {
    const { endpoint } = await setup(200, reply());
    const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: endpoint.url.replace('http:', 'https:') };

    await expect(container(env, systemClock).load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_CONTAINER_UNREACHABLE',
    });
    expect(endpoint.asked).toEqual([]);
  });

  test.each([
    ['FULL_URI', 'http://192.0.2.1/credentials'],
    ['FULL_URI', 'http://169.254.170.3/credentials'],
    ['FULL_URI', 'http://metadata.example/'],
    ['FULL_URI', 'http://127.0.0.1.example/'],
    ['FULL_URI', 'ftp://127.0.0.1/'],
    ['FULL_URI', 'nonsense'],
    ['RELATIVE_URI', '@metadata.example/credentials'],
    ['RELATIVE_URI', '.metadata.example/credentials'],
  ])('is not asked where %s is %s', async (variable, value) => {
    const env = { [`AWS_CONTAINER_CREDENTIALS_${variable}`]: value };

    const loading = container(env, systemClock).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_ENDPOINT_REFUSED' });
  });

  test('of the sandbox answers with its role’s credentials', async () => {
    const sandbox = createSandbox();
    const listener = await sandbox.listen({ credentialsOnly: true });
    onTestFinished(() => listener.close());
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${listener.url}${sandbox.container.path}`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: sandbox.container.authorizationToken,
    };

    const credentials = await container(env, systemClock).load(signal);

    expect(credentials?.accessKeyId).toMatch(/^ASIA/u);
    expect(credentials?.sessionToken).toBeDefined();
  });
});
