import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { patienceMs } from '../../../test/support/patience.ts';
import { proxy } from '../../../test/support/proxy.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { Secret } from '../../base/secret.ts';
import type { Credentials } from '../../identity/credential-source.ts';
import type { Denial } from '../../identity/denials.ts';
import { awsClientConfig, refusesPlainHttp, renewsExpired } from './aws-client.ts';
import type { Environment } from './aws-reach.ts';

/** The sandbox over HTTP or HTTPS, and clients of STS made for an environment, with a session that can expire. */
async function setup({ tls = false } = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen({ tls });
  onTestFinished(() => listener.close());
  const caBundle = join(temporaryDirectory(), 'ca.pem');
  writeFileSync(caBundle, listener.caPem ?? '');

  const newSession = (): Credentials => {
    const request = { role: 'GatehouseHost', sessionName: 'test', durationSeconds: 900 };
    const { accessKeyId, secretAccessKey, sessionToken, expiration } =
      sandbox.identities.issueSession(request);
    return {
      accessKeyId,
      secretAccessKey: Secret.ofText(secretAccessKey),
      sessionToken: Secret.ofText(sessionToken),
      expiration,
      source: 'test',
    };
  };
  const held = {
    credentials: newSession(),
    /** What the client was denied, and was denied again, and which services took its credentials. */
    denied: [] as Denial[],
    deniedAgain: [] as Denial[],
    accepted: [] as (readonly [service: string, accessKeyId: string | undefined])[],
    dates: [] as string[],
  };
  const options = {
    region: sandbox.region,
    credentials: async () => held.credentials,
    denials: {
      renew: async (denial: Denial) => {
        held.denied.push(denial);
        held.credentials = newSession();
        return true;
      },
      again: (denial: Denial) => void held.deniedAgain.push(denial),
      accepted: (service: string, accessKeyId: string | undefined) =>
        void held.accepted.push([service, accessKeyId]),
    },
    serverTime: (date: string) => void held.dates.push(date),
  };
  const arnWith = async (env: Environment): Promise<string | undefined> => {
    const config = awsClientConfig('STS', { ...options, env });
    const client = renewsExpired(new STSClient({ ...config, maxAttempts: 1 }), options);
    onTestFinished(() => client.destroy());
    return (await client.send(new GetCallerIdentityCommand({}))).Arn;
  };
  return { sandbox, url: listener.url, caBundle, held, newSession, arnWith };
}

const anybody = {
  region: 'eu-west-1',
  credentials: () => Promise.reject(new Error('not asked')),
};
const noDenials = {
  renew: () => Promise.reject(new Error('not asked')),
  again: () => undefined,
  accepted: () => undefined,
};
const endpointWith = (env: Environment) => awsClientConfig('KMS', { ...anybody, env }).endpoint;

describe('the endpoint', () => {
  test('of a service wins over the one of all', () => {
    expect(endpointWith({})).toBeUndefined();
    expect(endpointWith({ AWS_ENDPOINT_URL: '' })).toBeUndefined();
    expect(
      endpointWith({ AWS_ENDPOINT_URL: 'https://all.example', AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' }),
    ).toBeUndefined();
    expect(endpointWith({ AWS_ENDPOINT_URL: 'https://all.example' })).toBe('https://all.example');
    expect(
      endpointWith({
        AWS_ENDPOINT_URL: 'https://all.example',
        AWS_ENDPOINT_URL_KMS: 'https://kms.example',
        AWS_ENDPOINT_URL_STS: 'https://sts.example',
      }),
    ).toBe('https://kms.example');
  });

  test.each([
    'http://127.0.0.1:4566',
    'http://127.8.9.1',
    'http://localhost:1',
    'http://[::1]:4566',
    'http://169.254.170.2',
    'http://[fe80::1]:80',
  ])('may be plain http near by: %s', (endpoint) => {
    expect(endpointWith({ AWS_ENDPOINT_URL: endpoint })).toBe(endpoint);
  });

  test.each([
    'http://kms.eu-west-1.amazonaws.com',
    'http://10.0.0.1',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://[fd00::1]',
    'ftp://127.0.0.1',
  ])('may not be plain http further away: %s', (endpoint) => {
    const variable = 'AWS_ENDPOINT_URL_KMS';

    expect(() => endpointWith({ [variable]: endpoint })).toThrow(
      expect.objectContaining({
        code: 'AWS_ENDPOINT_INSECURE',
        details: { variable, host: new URL(endpoint).host },
      }),
    );
  });

  test('that is no URL is refused without being repeated', () => {
    expect(() => endpointWith({ AWS_ENDPOINT_URL: 'kms' })).toThrow(
      expect.objectContaining({ code: 'AWS_ENDPOINT_INVALID', details: { variable: 'AWS_ENDPOINT_URL' } }),
    );
  });

  test('FIPS and dual stack are asked for as the SDKs read it', () => {
    const both = { AWS_USE_FIPS_ENDPOINT: 'true', AWS_USE_DUALSTACK_ENDPOINT: 'true' };

    expect(awsClientConfig('KMS', { ...anybody, env: {} })).toMatchObject({
      useFipsEndpoint: false,
      useDualstackEndpoint: false,
    });
    expect(awsClientConfig('KMS', { ...anybody, env: both })).toMatchObject({
      useFipsEndpoint: true,
      useDualstackEndpoint: true,
    });
  });

  test.each([
    ['TRUE', true],
    ['True', true],
    ['False', false],
    ['', false],
  ])('FIPS is read from %j in whatever letters, as by the other SDKs', (word, useFipsEndpoint) => {
    const env = { AWS_USE_FIPS_ENDPOINT: word };

    expect(awsClientConfig('KMS', { ...anybody, env })).toMatchObject({ useFipsEndpoint });
  });

  test.each(['AWS_USE_FIPS_ENDPOINT', 'AWS_USE_DUALSTACK_ENDPOINT'])(
    '%s that is neither true nor false is refused, and nobody goes without it unheard',
    (variable) => {
      expect(() => awsClientConfig('KMS', { ...anybody, env: { [variable]: '1' } })).toThrow(
        expect.objectContaining({ code: 'AWS_SWITCH_INVALID', details: { variable } }),
      );
    },
  );
});

describe('the connection', () => {
  test('trusts the authorities of AWS_CA_BUNDLE, and does not without', async () => {
    const { url, caBundle, arnWith } = await setup({ tls: true });

    expect(await arnWith({ AWS_ENDPOINT_URL: url, AWS_CA_BUNDLE: caBundle })).toContain('GatehouseHost');
    await expect(arnWith({ AWS_ENDPOINT_URL: url })).rejects.toMatchObject({
      code: expect.stringMatching(/CERT|SELF_SIGNED|UNABLE_TO/u),
    });
  });

  test('needs a CA bundle that can be read', () => {
    const path = '/nowhere/ca.pem';

    expect(() => awsClientConfig('KMS', { ...anybody, env: { AWS_CA_BUNDLE: path } })).toThrow(
      expect.objectContaining({ code: 'AWS_CA_BUNDLE_UNREADABLE', details: { path } }),
    );
  });

  test('needs certificates in its CA bundle, and not in DER', () => {
    const path = join(temporaryDirectory(), 'ca.der');
    writeFileSync(path, Buffer.from([0x30, 0x82, 0x01, 0x00]));

    expect(() => awsClientConfig('KMS', { ...anybody, env: { AWS_CA_BUNDLE: path } })).toThrow(
      expect.objectContaining({ code: 'AWS_CA_BUNDLE_EMPTY', details: { path } }),
    );
  });

  test.each(['HTTPS_PROXY', 'https_proxy'])('goes through the proxy that %s names', async (variable) => {
    const { url, caBundle, arnWith } = await setup({ tls: true });
    const { url: proxyUrl, tunnels } = await proxy();

    await arnWith({ AWS_ENDPOINT_URL: url, AWS_CA_BUNDLE: caBundle, [variable]: proxyUrl });

    expect(tunnels).toEqual([new URL(url).host]);
  });

  test('gives a proxy the user and password of its URL', async () => {
    const { url, caBundle, arnWith } = await setup({ tls: true });
    const { url: proxyUrl, tunnels } = await proxy({ password: 'p@ss:word' });
    const env = { AWS_ENDPOINT_URL: url, AWS_CA_BUNDLE: caBundle };

    await arnWith({ ...env, HTTPS_PROXY: proxyUrl });
    const refused = arnWith({ ...env, HTTPS_PROXY: proxyUrl.replace('p%40ss', 'wrong') });

    await expect(refused).rejects.toBeInstanceOf(Error);
    expect(tunnels).toEqual([new URL(url).host]);
  });

  test.each([
    ['127.0.0.1', 0],
    ['.example.com,127.0.0.1', 0],
    ['*', 0],
    ['127.0.0.2,.example.com', 1],
    ['', 1],
  ])('goes past the proxy where NO_PROXY says so: %j', async (noProxy, tunnelled) => {
    const { url, caBundle, arnWith } = await setup({ tls: true });
    const { url: proxyUrl, tunnels } = await proxy();

    await arnWith({
      AWS_ENDPOINT_URL: url,
      AWS_CA_BUNDLE: caBundle,
      HTTPS_PROXY: proxyUrl,
      NO_PROXY: noProxy,
    });

    expect(tunnels).toHaveLength(tunnelled);
  });

  test.each([
    ['eu-west-1', {}, 'sts.eu-west-1.amazonaws.com'],
    ['cn-north-1', {}, 'sts.cn-north-1.amazonaws.com.cn'],
    ['us-gov-west-1', {}, 'sts.us-gov-west-1.amazonaws.com'],
    ['eusc-de-east-1', {}, 'sts.eusc-de-east-1.amazonaws.eu'],
    ['us-east-1', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'sts-fips.us-east-1.amazonaws.com'],
    ['us-gov-east-1', { AWS_USE_FIPS_ENDPOINT: 'true' }, 'sts.us-gov-east-1.amazonaws.com'],
    ['eu-west-1', { AWS_USE_DUALSTACK_ENDPOINT: 'true' }, 'sts.eu-west-1.api.aws'],
    ['cn-north-1', { AWS_USE_DUALSTACK_ENDPOINT: 'true' }, 'sts.cn-north-1.api.amazonwebservices.com.cn'],
    [
      'us-east-1',
      { AWS_USE_FIPS_ENDPOINT: 'true', AWS_USE_DUALSTACK_ENDPOINT: 'true' },
      'sts-fips.us-east-1.api.aws',
    ],
  ])('goes to the partition of %s, with %j: %s', async (region, env, host) => {
    const { url: proxyUrl, tunnels } = await proxy();
    const { held } = await setup();
    const options = {
      region,
      env: { ...env, HTTPS_PROXY: proxyUrl },
      credentials: async () => held.credentials,
    };
    const client = new STSClient({ ...awsClientConfig('STS', options), maxAttempts: 1 });
    onTestFinished(() => client.destroy());

    // Nothing listens where the proxy leads; what it was asked for is the fact.
    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toBeInstanceOf(Error);

    expect(tunnels).toEqual([`${host}:443`]);
  });

  test('carries nothing in clear but to this host and its link', async () => {
    const { held } = await setup();
    const options = { region: 'eu-west-1', env: {}, credentials: async () => held.credentials };
    const config = { ...awsClientConfig('STS', options), endpoint: 'http://192.0.2.1' };
    const client = refusesPlainHttp(new STSClient(config));
    onTestFinished(() => client.destroy());

    await expect(client.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      code: 'AWS_ENDPOINT_INSECURE',
    });
  });
});

describe('credentials', () => {
  test('are asked for at every call, so that renewed ones are used at once', async () => {
    const { sandbox, url, held, newSession } = await setup();
    const options = { ...anybody, credentials: async () => held.credentials };
    const client = new STSClient(awsClientConfig('STS', { ...options, env: { AWS_ENDPOINT_URL: url } }));
    onTestFinished(() => client.destroy());
    const first = held.credentials.accessKeyId;

    await client.send(new GetCallerIdentityCommand({}));
    held.credentials = newSession();
    await client.send(new GetCallerIdentityCommand({}));

    const used = sandbox.calls.list().map(({ accessKeyId }) => accessKeyId);
    expect(used).toEqual([first, held.credentials.accessKeyId]);
  });

  test.each([
    ['ExpiredToken', false],
    ['InvalidClientTokenId', false],
  ])('that AWS denies as %s are renewed, and the call is repeated once', async (name, mayBePermission) => {
    const { sandbox, url, held, arnWith } = await setup();
    const { accessKeyId } = held.credentials;
    sandbox.faults.add({ service: 'sts', nth: 1, effect: { kind: 'error', name, status: 403 } });

    expect(await arnWith({ AWS_ENDPOINT_URL: url })).toContain('GatehouseHost');

    expect(held.denied).toMatchObject([{ service: 'STS', accessKeyId, mayBePermission }]);
    expect(held.denied[0]?.awsError).toContain(name);
    expect(held.deniedAgain).toEqual([]);
    expect(held.accepted).toEqual([['STS', held.credentials.accessKeyId]]);
  });

  test('that are denied again right after are an error, not a loop', async () => {
    const { sandbox, url, held, arnWith } = await setup();
    sandbox.faults.add({ service: 'sts', effect: { kind: 'expire-credentials' } });

    await expect(arnWith({ AWS_ENDPOINT_URL: url })).rejects.toMatchObject({
      name: expect.stringMatching(/^ExpiredToken/u),
    });

    expect(held.denied).toHaveLength(1);
    expect(held.deniedAgain).toMatchObject([{ accessKeyId: held.credentials.accessKeyId }]);
    expect(held.accepted).toEqual([]);
  });

  test('of a revoked session are denied by a policy of their role, and renewed as well', async () => {
    const { sandbox, url, held, arnWith } = await setup();
    const message =
      'User: arn:aws:sts::1:assumed-role/R/s is not authorized to perform: sts:X with an explicit deny in an identity-based policy';
    const effect = { kind: 'error', name: 'AccessDenied', status: 403, message } as const;
    sandbox.faults.add({ service: 'sts', nth: 1, effect });

    await arnWith({ AWS_ENDPOINT_URL: url });

    expect(held.denied).toMatchObject([{ awsError: 'AccessDenied', mayBePermission: true }]);
  });

  test('that may not do something are not renewed', async () => {
    const { sandbox, url, held, arnWith } = await setup();
    sandbox.faults.add({ service: 'sts', effect: { kind: 'error', name: 'AccessDenied', status: 403 } });

    await expect(arnWith({ AWS_ENDPOINT_URL: url })).rejects.toMatchObject({ name: 'AccessDenied' });

    expect(held.denied).toEqual([]);
  });
});

test('a call is known by its service and operation while it is waited for', async () => {
  const { sandbox, url, held } = await setup();
  const env = { AWS_ENDPOINT_URL: url };
  const underWay: (object | string)[] = [];
  const client = renewsExpired(
    new STSClient(
      awsClientConfig('STS', { region: sandbox.region, credentials: async () => held.credentials, env }),
    ),
    {
      denials: { ...noDenials, accepted: () => underWay.push('accepted') },
      slow: {
        async during(call, work) {
          underWay.push(call);
          const output = await work();
          underWay.push('over');
          return output;
        },
      },
    },
  );
  onTestFinished(() => client.destroy());

  await client.send(new GetCallerIdentityCommand({}));

  expect(underWay).toEqual([{ service: 'STS', operation: 'GetCallerIdentity' }, 'accepted', 'over']);
});

describe('the clock', () => {
  test('of AWS is told with every answer, and a signature that is off is made again', async () => {
    const { sandbox, url, held } = await setup();
    sandbox.faults.add({ effect: { kind: 'clock', offsetSeconds: 600 } });
    const client = renewsExpired(
      new STSClient(
        awsClientConfig('STS', {
          region: sandbox.region,
          credentials: async () => held.credentials,
          env: { AWS_ENDPOINT_URL: url },
        }),
      ),
      { denials: noDenials, serverTime: (date) => void held.dates.push(date) },
    );
    onTestFinished(() => client.destroy());

    const { Arn: arn } = await client.send(new GetCallerIdentityCommand({}));

    expect(arn).toContain('GatehouseHost');
    // One answer that refuses, and one that does not.
    const offMs = held.dates.map((date) => Math.abs(Date.parse(date) - Date.now() - 600_000));
    expect(offMs).toHaveLength(2);
    expect(Math.max(...offMs)).toBeLessThan(patienceMs);
  });
});
