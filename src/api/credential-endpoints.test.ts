import { assert, asyncProperty, constantFrom, dictionary, oneof, string, webPath } from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { errorsOf } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { accessToken } from './access-token.ts';
import { consumerEndpoint } from './consumer-endpoint.ts';
import { type SessionRequest, sessionQuery } from './consumer-session.ts';
import { containerEndpoint } from './container-endpoint.ts';
import type { HandedCredentials } from './credential-document.ts';
import type { Endpoint, EndpointReply, EndpointRequest } from './endpoint.ts';
import { endpointServer } from './endpoint-server.ts';
import { loopbackOnly } from './loopback-guard.ts';
import { metadataEndpoint } from './metadata-endpoint.ts';
import { metadataTokens } from './metadata-token.ts';

const { signal } = new AbortController();
const secretText = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

const handed: HandedCredentials = {
  accessKeyId: 'ASIAEXAMPLE',
  secretAccessKey: Secret.ofText(secretText),
  sessionToken: Secret.ofText('the session token'),
  expiration: new Date('2026-11-22T13:00:00.999Z'),
  lastUpdated: new Date('2026-11-22T12:00:00.500Z'),
  accountId: '123456789012',
};

const unavailable = errorsOf({
  AWS_AWAY: { summary: 'AWS is away', remedy: 'Wait.', retry: true, exitCode: 69, httpStatus: 503 },
} as const)(
  'AWS_AWAY',
  { detail: 'not for everybody' },
  Object.assign(new Error('x'), { code: 'ECONNREFUSED' }),
);

type Ask = (path: string, headers?: EndpointRequest['headers'], method?: string) => Promise<EndpointReply>;

/** Asks an endpoint without a socket, as a program on this host would. */
function asking(endpoint: Endpoint): Ask {
  return async (target, headers = {}, method = 'GET') => {
    const [path = '', query = ''] = target.split('?');
    return endpoint({ method, path, query, headers: { host: '127.0.0.1:9911', ...headers } }, signal);
  };
}

function containerSetup(credentials: () => Promise<HandedCredentials> = async () => handed) {
  const refused: object[] = [];
  const tokens = { app: accessToken(), other: accessToken() };
  const shown = (name: keyof typeof tokens): string => {
    const token = tokens[name].propose().revealText();
    tokens[name].adopt();
    return token;
  };
  const onRefused = (refusal: object) => void refused.push(refusal);
  const endpoint = containerEndpoint(
    (name) =>
      name === 'app' || name === 'other'
        ? { name, credentials, accepts: (token) => tokens[name].accepts(token) }
        : undefined,
    onRefused,
  );
  return { ask: asking(loopbackOnly(endpoint, onRefused)), endpoint, tokens, shown, refused };
}

function metadataSetup() {
  const clock = fakeClock();
  const refused: object[] = [];
  const onRefused = (refusal: object) => void refused.push(refusal);
  const endpoint = metadataEndpoint({
    consumer: { name: 'app', credentials: async () => handed },
    roleName: 'AppRole',
    machine: { region: 'eu-west-1', instanceId: 'i-0123456789abcdef0', accountId: '123456789012' },
    tokens: metadataTokens(clock),
    onRefused,
  });
  const ask = asking(loopbackOnly(endpoint, onRefused));
  const token = async (seconds = 21_600): Promise<{ 'x-aws-ec2-metadata-token': string }> => {
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': String(seconds) };
    const { body } = await ask('/latest/api/token', ttl, 'PUT');
    return { 'x-aws-ec2-metadata-token': String(body) };
  };
  return { ask, endpoint, token, clock, refused };
}

/** Asks the socket of a consumer whose credentials are of this session. */
function askingConsumer(has: SessionRequest | undefined): Ask {
  return asking(
    consumerEndpoint(
      () => ({ name: 'app', credentials: async () => handed, session: () => has }),
      () => undefined,
    ),
  );
}

describe('the container endpoint', () => {
  test('gives a consumer its credentials for its token', async () => {
    const { ask, shown, refused } = containerSetup();

    const reply = await ask('/credentials/app', { authorization: shown('app') });

    expect(reply).toEqual({
      status: 200,
      body: {
        AccessKeyId: 'ASIAEXAMPLE',
        SecretAccessKey: secretText,
        Token: 'the session token',
        Expiration: '2026-11-22T13:00:00Z',
        AccountId: '123456789012',
      },
    });
    expect(refused).toEqual([]);
  });

  test('refuses no token, a wrong one, another consumer’s, and one for nobody', async () => {
    const { ask, shown, refused } = containerSetup();
    const [app, other] = [shown('app'), shown('other')];

    const replies = await Promise.all([
      ask('/credentials/app'),
      ask('/credentials/app', { authorization: '' }),
      ask('/credentials/app', { authorization: `${app}x` }),
      ask('/credentials/app', { authorization: app.slice(0, -1) }),
      ask('/credentials/app', { authorization: other }),
      ask('/credentials/nobody', { authorization: app }),
      ask('/credentials/', { authorization: app }),
    ]);

    expect(replies.map(({ status }) => status)).toEqual([401, 403, 403, 403, 403, 403, 403]);
    expect(JSON.stringify(replies)).not.toContain(secretText);
    expect(refused).toEqual([
      { reason: 'no token', consumer: 'app' },
      ...Array.from({ length: 4 }, () => ({ reason: 'wrong token', consumer: 'app' })),
      { reason: 'unknown consumer' },
      { reason: 'unknown consumer' },
    ]);
  });

  test('tells nobody which consumers there are', async () => {
    const { ask } = containerSetup();

    expect(await ask('/credentials/app', { authorization: 'x' })).toEqual(
      await ask('/credentials/nobody', { authorization: 'x' }),
    );
  });

  test('accepts the token before for as long as it is not retired', async () => {
    const { ask, shown, tokens } = containerSetup();
    const before = shown('app');
    const status = async (authorization: string) => (await ask('/credentials/app', { authorization })).status;

    const proposed = tokens.app.propose().revealText();
    expect([await status(before), await status(proposed)]).toEqual([200, 200]);
    tokens.app.adopt();
    expect([await status(before), await status(proposed)]).toEqual([200, 200]);
    tokens.app.retire();
    expect([await status(before), await status(proposed)]).toEqual([403, 200]);
  });

  test('says in SDKs’ form why there are no credentials, and no details', async () => {
    const { endpoint, shown } = containerSetup(() => Promise.reject(unavailable));
    const server = endpointServer(endpoint);
    onTestFinished(() => server.close());
    await new Promise<void>((resolve) => {
      server.http.listen(0, '127.0.0.1', resolve);
    });
    const address = server.http.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;

    const reply = await fetch(`http://127.0.0.1:${port}/credentials/app`, {
      headers: { authorization: shown('app') },
    });

    expect(reply.status).toBe(503);
    expect(await reply.json()).toEqual({ code: 'AWS_AWAY', message: 'AWS is away < ECONNREFUSED' });
  });

  test('knows no other path and no other verb', async () => {
    const { ask, shown } = containerSetup();
    const headers = { authorization: shown('app') };

    expect((await ask('/', headers)).status).toBe(404);
    expect((await ask('/v2/credentials/app', headers)).status).toBe(404);
    expect((await ask('/credentials/app', headers, 'POST')).status).toBe(405);
  });
});

describe('instance metadata', () => {
  test('gives the role, and its credentials, in both slash forms', async () => {
    const { ask, token } = metadataSetup();
    const headers = await token();
    const roles = '/latest/meta-data/iam/security-credentials';

    for (const path of [roles, `${roles}/`]) {
      expect(await ask(path, headers)).toMatchObject({ status: 200, body: 'AppRole' });
    }
    for (const path of [`${roles}/AppRole`, `${roles}/AppRole/`, `/2021-03-23${roles.slice(7)}/AppRole`]) {
      expect(await ask(path, headers)).toEqual({
        status: 200,
        body: {
          Code: 'Success',
          LastUpdated: '2026-11-22T12:00:00Z',
          Type: 'AWS-HMAC',
          AccessKeyId: 'ASIAEXAMPLE',
          SecretAccessKey: secretText,
          Token: 'the session token',
          Expiration: '2026-11-22T13:00:00Z',
        },
      });
    }
    expect((await ask(`${roles}/Another`, headers)).status).toBe(404);
  });

  test('says what SDKs ask of the machine', async () => {
    const { ask, token } = metadataSetup();
    const headers = await token();
    const body = async (path: string) => (await ask(path, headers)).body;

    expect(await body('/latest/meta-data/placement/region')).toBe('eu-west-1');
    expect(await body('/latest/meta-data/placement/availability-zone/')).toBe('eu-west-1a');
    expect(await body('/latest/meta-data/instance-id')).toBe('i-0123456789abcdef0');
    expect(await body('/latest/dynamic/instance-identity/document')).toMatchObject({
      accountId: '123456789012',
      region: 'eu-west-1',
    });
  });

  test.each([
    ['1', 200],
    ['21600', 200],
    ['0', 400],
    ['21601', 400],
    ['-1', 400],
    ['1.5', 400],
    ['1e3', 400],
    ['', 400],
    [undefined, 400],
  ])('gives a token for a TTL of %s: %i', async (ttl, status) => {
    const { ask } = metadataSetup();

    const reply = await ask('/latest/api/token', { 'x-aws-ec2-metadata-token-ttl-seconds': ttl }, 'PUT');

    expect(reply.status).toBe(status);
    expect(reply.headers?.['x-aws-ec2-metadata-token-ttl-seconds']).toBe(status === 200 ? ttl : undefined);
  });

  test('takes a token until its time is over', async () => {
    const { ask, token, clock } = metadataSetup();
    const headers = await token(60);
    const status = async () => (await ask('/latest/meta-data/instance-id', headers)).status;

    await clock.advance(59_999);
    expect(await status()).toBe(200);
    await clock.advance(1);
    expect(await status()).toBe(401);
  });

  test('takes every token as often as it is shown, however many there are, and none that was changed', async () => {
    const { ask, token, clock } = metadataSetup();
    const path = '/latest/meta-data/placement/region';
    const many = await Promise.all(Array.from({ length: 20 }, (_, index) => token(60 + index)));
    const changed = many.map(({ 'x-aws-ec2-metadata-token': text }) => ({
      'x-aws-ec2-metadata-token': text.slice(0, -1) + (text.endsWith('A') ? 'E' : 'A'),
    }));
    const statuses = (headers: readonly EndpointRequest['headers'][]) =>
      Promise.all(headers.map(async (each) => (await ask(path, each)).status));

    for (const round of [1, 2]) {
      expect([round, ...new Set(await statuses(many))]).toEqual([round, 200]);
      expect([round, ...new Set(await statuses(changed))]).toEqual([round, 401]);
    }
    await clock.advance(69_000);
    expect(await statuses(many)).toEqual(many.map((_, index) => (index < 10 ? 401 : 200)));
  });

  test('refuses version 1, other verbs, and tokens that are none of its own', async () => {
    const { ask, token, refused } = metadataSetup();
    const another = await metadataSetup().token();
    const own = await token();
    const tampered = { 'x-aws-ec2-metadata-token': `A${own['x-aws-ec2-metadata-token'].slice(1)}` };
    const path = '/latest/meta-data/iam/security-credentials/AppRole';

    expect((await ask(path)).status).toBe(401);
    expect(refused).toEqual([{ reason: 'no token', consumer: 'app' }]);
    expect((await ask(path, another)).status).toBe(401);
    expect((await ask(path, { 'x-aws-ec2-metadata-token': '' })).status).toBe(401);
    expect((await ask(path, tampered)).status).toBe(
      own['x-aws-ec2-metadata-token'].startsWith('A') ? 200 : 401,
    );
    expect((await ask(path, own, 'POST')).status).toBe(405);
    expect((await ask('/latest/api/token', own, 'GET')).status).toBe(405);
  });
});

describe('what only a program on this host asks by itself passes', () => {
  const path = '/latest/api/token';
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' };

  test.each(['127.0.0.1:9911', '127.0.0.1', 'localhost:9911', 'LOCALHOST', '[::1]:9911', '127.1.2.3:1'])(
    'to the host %s',
    async (host) => {
      const { ask } = metadataSetup();

      expect((await ask(path, { ...ttl, host }, 'PUT')).status).toBe(200);
    },
  );

  test.each([
    ['foreign host', { host: 'rebound.example:9911' }],
    ['foreign host', { host: '169.254.169.254' }],
    ['foreign host', { host: '127.0.0.1.example' }],
    ['foreign host', { host: 'localhost.example' }],
    ['foreign host', { host: '127.0.0.1@example' }],
    ['foreign host', { host: '' }],
    ['foreign host', { host: undefined }],
    ['web page', { origin: 'http://127.0.0.1:9911' }],
    ['web page', { origin: 'null' }],
    ['web page', { 'sec-fetch-site': 'same-origin' }],
    ['forwarded', { 'x-forwarded-for': '10.0.0.1' }],
    ['forwarded', { 'x-forwarded-for': '' }],
    ['forwarded', { forwarded: 'for=10.0.0.1' }],
    ['forwarded', { via: '1.1 proxy' }],
  ])('and not what is %s: %j', async (reason, headers) => {
    const { ask, refused } = metadataSetup();

    // One that passed before it opens the door to no other.
    expect((await ask(path, ttl, 'PUT')).status).toBe(200);
    expect((await ask(path, { ...ttl, ...headers }, 'PUT')).status).toBe(403);
    expect(refused).toEqual([{ reason }]);
  });
});

describe('a consumer’s socket', () => {
  const session: SessionRequest = {
    trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
    profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/p',
    roleArn: 'arn:aws:iam::123456789012:role/path/App=Role',
    certificate: '/etc/gatehouse/identity/certificate.pem',
    durationSeconds: 3600,
  };
  test('answers what a credential_process prints', async () => {
    expect(await askingConsumer(undefined)('/credentials')).toEqual({
      status: 200,
      body: {
        Version: 1,
        AccessKeyId: 'ASIAEXAMPLE',
        SecretAccessKey: secretText,
        SessionToken: 'the session token',
        Expiration: '2026-11-22T13:00:00Z',
        AccountId: '123456789012',
      },
    });
  });

  test('answers a session that is asked for only where all of it is the same', async () => {
    const status = async (asked: SessionRequest, has: SessionRequest | undefined = session) =>
      (await askingConsumer(has)(`/credentials?${sessionQuery(asked)}`)).status;

    expect(await status(session)).toBe(200);
    expect(await status({ ...session, sessionName: 'mine' }, { ...session, sessionName: 'mine' })).toBe(200);
    for (const key of ['trustAnchorArn', 'profileArn', 'roleArn', 'certificate'] as const) {
      expect(await status({ ...session, [key]: `${session[key]}x` })).toBe(409);
    }
    expect(await status({ ...session, sessionName: 'mine' })).toBe(409);
    expect(await status({ ...session, durationSeconds: 900 })).toBe(409);
    expect((await askingConsumer(undefined)(`/credentials?${sessionQuery(session)}`)).status).toBe(409);
    expect((await askingConsumer(session)('/credentials?x')).status).toBe(409);
  });

  test('of a consumer that has left says so', async () => {
    const refused: object[] = [];
    const gone = asking(
      consumerEndpoint(
        () => undefined,
        (refusal) => void refused.push(refusal),
      ),
    );

    expect((await gone('/credentials')).status).toBe(404);
    expect(refused).toEqual([{ reason: 'unknown consumer' }]);
  });
});

test('whatever is asked, without a token no endpoint gives a secret, and none breaks', async () => {
  const endpoints = [containerSetup().ask, metadataSetup().ask];
  const methods = constantFrom('GET', 'PUT', 'POST', 'HEAD', 'OPTIONS', 'TRACE', '');
  const paths = oneof(
    webPath(),
    string(),
    constantFrom(
      '/credentials/app',
      '/credentials/__proto__',
      '/latest/api/token',
      '/latest/meta-data/iam/security-credentials/AppRole',
      '/2021-03-23/meta-data/iam/security-credentials/AppRole/',
    ),
  );
  const names = oneof(
    string(),
    constantFrom('authorization', 'x-aws-ec2-metadata-token', 'x-aws-ec2-metadata-token-ttl-seconds', 'host'),
  );

  await assert(
    asyncProperty(methods, paths, dictionary(names, string()), async (method, path, headers) => {
      for (const ask of endpoints) {
        const reply = await ask(path, headers, method);
        expect(JSON.stringify(reply)).not.toContain(secretText);
        expect(reply.status).toBeGreaterThanOrEqual(200);
      }
    }),
    { numRuns: 100 },
  );
});
