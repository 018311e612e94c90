import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { patienceMs } from '../../test/support/patience.ts';
import { systemClock } from '../base/clock.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import { deadEndpoint, fullEndpoint, scriptedEndpoint } from './endpoint.contract.ts';
import { instanceRole } from './instance-role.ts';

const signal = new AbortController().signal;
const roles = '/latest/meta-data/iam/security-credentials/';

interface Script {
  readonly token?: Answer;
  readonly role?: Answer;
  readonly document?: Answer;
}
type Answer = readonly [status: number, body: string];

const document = (changes: Record<string, unknown> = {}): string =>
  JSON.stringify({
    Code: 'Success',
    LastUpdated: '2026-11-22T12:00:00Z',
    Type: 'AWS-HMAC',
    AccessKeyId: 'ASIAINSTANCE',
    SecretAccessKey: 'instance-secret',
    Token: 'instance-token',
    Expiration: new Date(Date.now() + 21_600_000).toISOString(),
    ...changes,
  });

async function setup(script: Script = {}, required = true) {
  const answers: Record<string, Answer> = {
    'PUT /latest/api/token': script.token ?? [200, 'metadata-token'],
    [`GET ${roles}`]: script.role ?? [200, 'WebRole'],
    [`GET ${roles}WebRole`]: script.document ?? [200, document()],
  };
  const { url, asked } = await scriptedEndpoint((request: IncomingMessage, response: ServerResponse) => {
    const [status, body] = answers[`${request.method} ${request.url}`] ?? [404, ''];
    const isTokenRight =
      request.method === 'PUT' || request.headers['x-aws-ec2-metadata-token'] === 'metadata-token';
    response.writeHead(isTokenRight ? status : 401).end(isTokenRight ? body : '');
  });
  const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: url };
  return { asked, env, source: instanceRole(env, systemClock, { required }) };
}

credentialSourceContract('instance-role', {
  working: async () => {
    const { source } = await setup();
    return { source, accessKeyId: 'ASIAINSTANCE', secretAccessKey: 'instance-secret' };
  },
  absent: async () =>
    instanceRole({ AWS_EC2_METADATA_SERVICE_ENDPOINT: await deadEndpoint() }, systemClock, {
      required: false,
    }),
  failing: async (secretText) =>
    (await setup({ document: [200, document({ Code: secretText, SecretAccessKey: secretText })] })).source,
});

describe('the EC2 metadata service', () => {
  test('is asked for a token, the role and its credentials, and nothing else', async () => {
    const { source, asked } = await setup();

    await source.load(signal);

    expect(asked).toEqual(['PUT /latest/api/token', `GET ${roles}`, `GET ${roles}WebRole`]);
  });

  test('is never asked without a token: version 1 is not tried', async () => {
    const { source, asked } = await setup({ token: [403, ''] });

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_METADATA_REFUSED' });
    expect(asked).toEqual(['PUT /latest/api/token']);
  });

  test('that is switched off does not apply, and is not asked', async () => {
    const { env, asked } = await setup();
    const source = instanceRole({ ...env, AWS_EC2_METADATA_DISABLED: 'TRUE' }, systemClock, {
      required: true,
    });

    expect(await source.load(signal)).toBeUndefined();
    expect(source.absence).toBe('AWS_EC2_METADATA_DISABLED is true');
    expect(asked).toEqual([]);
  });

  test.each<[string, Script, string]>([
    ['an instance without a role', { role: [404, ''] }, 'CREDENTIALS_NO_ROLE'],
    ['an empty list of roles', { role: [200, '\n'] }, 'CREDENTIALS_NO_ROLE'],
    ['a role that vanished', { document: [404, ''] }, 'CREDENTIALS_NO_ROLE'],
    ['a role name that is a path', { role: [200, '../../user-data'] }, 'CREDENTIALS_DOCUMENT_INVALID'],
    ['a token with a line break', { token: [200, 'a\r\nb'] }, 'CREDENTIALS_DOCUMENT_INVALID'],
    ['a service in trouble', { role: [503, ''] }, 'CREDENTIALS_METADATA_UNREACHABLE'],
    ['throttling', { token: [429, ''] }, 'CREDENTIALS_THROTTLED'],
    [
      'a refused role',
      { document: [200, document({ Code: 'AssumeRoleUnauthorizedAccess' })] },
      'CREDENTIALS_REFUSED',
    ],
    ['a document that is not JSON', { document: [200, '<html>'] }, 'CREDENTIALS_DOCUMENT_INVALID'],
    [
      'a document without a key',
      { document: [200, document({ Token: undefined })] },
      'CREDENTIALS_DOCUMENT_INVALID',
    ],
    ['a document too long', { document: [200, 'x'.repeat(70_000)] }, 'CREDENTIALS_DOCUMENT_INVALID'],
  ])('%s is a typed error, also when the source is one of several', async (_what, script, code) => {
    const { source } = await setup(script, false);

    // The token step alone decides whether there is such a service; after it every failure is one.
    await expect(source.load(signal)).rejects.toMatchObject({ code });
  });

  test('that has nothing but credentials of yesterday hands them out as extended, with their true end', async () => {
    const expiration = '2020-01-01T00:00:00Z';
    const { source } = await setup({ document: [200, document({ Expiration: expiration })] });

    const credentials = await source.load(signal);

    expect(credentials?.expiration).toEqual(new Date(expiration));
    const leftMs = (credentials?.extendedUntil?.getTime() ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(900_000 - patienceMs);
    expect(leftMs).toBeLessThanOrEqual(900_000);
  });

  test('that cannot be reached is an error when it is the one source', async () => {
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: await deadEndpoint() };

    const loading = instanceRole(env, systemClock, { required: true }).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_METADATA_UNREACHABLE' });
  });

  test('that takes the connection and says nothing for ten seconds does not apply', async () => {
    const clock = fakeClock(new Date());
    const arrived = Promise.withResolvers<void>();
    const { url } = await scriptedEndpoint(() => arrived.resolve());
    const source = instanceRole({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url }, clock, { required: false });

    const loading = source.load(signal);
    await arrived.promise;
    await clock.advance(10_000);

    expect(await loading).toBeUndefined();
  });

  test('that takes the connection has time to answer, on a busy host too', async () => {
    const clock = fakeClock(new Date());
    const { url } = await scriptedEndpoint((request, response) => {
      const answer = request.method === 'PUT' ? 'token' : document();
      void clock.advance(8000).then(() => response.end(answer));
    });
    const source = instanceRole({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url }, clock, { required: false });

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_DOCUMENT_INVALID' });
  });

  test('that takes no connection for a second does not apply', async () => {
    const clock = fakeClock(new Date());
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: await fullEndpoint() };
    const source = instanceRole(env, clock, { required: false });

    const loading = source.load(signal);
    await clock.advance(1000);

    expect(await loading).toBeUndefined();
  });

  test('that says nothing to a container is likely to have a hop limit of 1', async () => {
    const clock = fakeClock(new Date());
    const { url } = await scriptedEndpoint(() => void clock.advance(10_000));
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: url, KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const oneOfSeveral = instanceRole(env, clock, { required: false });

    const loading = instanceRole(env, clock, { required: true }).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_METADATA_HOP_LIMIT' });
    expect(await oneOfSeveral.load(signal)).toBeUndefined();
    expect(oneOfSeveral.absence).toContain(
      'inside this container: on EC2 the hop limit of the instance is likely 1',
    );
  });

  test('that refuses the connection is not there, in a container as well', async () => {
    const env = {
      AWS_EC2_METADATA_SERVICE_ENDPOINT: await deadEndpoint(),
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
    };

    const loading = instanceRole(env, systemClock, { required: true }).load(signal);

    await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_METADATA_UNREACHABLE' });
  });

  test('that is cut off in the middle of an answer is out of reach, without waiting for the rest', async () => {
    const { url } = await scriptedEndpoint((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.destroy());
    });
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: url };
    // A clock that stands still: no time limit helps here.
    const source = instanceRole(env, fakeClock(new Date()), { required: true });

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_METADATA_UNREACHABLE' });
  });

  test('lets go of a request when the signal aborts', async () => {
    const reason = new Error('enough');
    const stop = new AbortController();
    const { url } = await scriptedEndpoint(() => stop.abort(reason));
    const source = instanceRole({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url }, systemClock, { required: false });

    await expect(source.load(stop.signal)).rejects.toBe(reason);
  });

  test.each([['http://192.0.2.1'], ['https://169.254.169.254'], ['http://metadata.example'], ['nonsense']])(
    'is not asked at %s',
    async (endpoint) => {
      const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint };

      const loading = instanceRole(env, systemClock, { required: false }).load(signal);

      await expect(loading).rejects.toMatchObject({ code: 'CREDENTIALS_ENDPOINT_REFUSED' });
    },
  );

  test('of the sandbox answers with the instance’s role', async () => {
    const sandbox = createSandbox();
    const listener = await sandbox.listen({ credentialsOnly: true });
    onTestFinished(() => listener.close());
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: listener.url };

    const credentials = await instanceRole(env, systemClock, { required: true }).load(signal);

    expect(credentials?.accessKeyId).toMatch(/^ASIA/u);
    expect(credentials?.expiration?.getTime()).toBeGreaterThan(Date.now());
  });
});
