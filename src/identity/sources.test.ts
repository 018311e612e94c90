import { describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { credentialsConfig } from './config.ts';
import { deadEndpoint } from './endpoint.contract.ts';
import { credentialSources } from './sources.ts';

const rolesAnywhere = {
  trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
  profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/b',
  roleArn: 'arn:aws:iam::123456789012:role/GatehouseHost',
  certificate: '/c.pem',
  privateKey: '/k.pem',
};

function sourcesOf(input: unknown, env: Record<string, string> = {}) {
  return credentialSources(credentialsConfig.parse(input), {
    env,
    runCommand: () => Promise.reject(new Error('not to be run')),
    clock: systemClock,
    log: () => undefined,
    sts: () => Promise.reject(new Error('not to be asked')),
    ssoClientConfig: () => ({}),
    sessionName: 'gatehouse-web-1',
    rolesAnywhere: () => ({
      endpoint: { endpoint: undefined, useFips: false, useDualstack: false },
      post: () => Promise.reject(new Error('not to be asked')),
    }),
  });
}

describe('the credential sources of a config', () => {
  test('are all of them, in the order of the AWS SDKs, when it is automatic', () => {
    const names = sourcesOf({ rolesAnywhere: { ...rolesAnywhere, helper: '/helper' } }).map(
      ({ name }) => name,
    );

    expect(names).toEqual([
      'environment',
      'profile',
      'web-identity',
      'roles-anywhere',
      'container',
      'instance-role',
    ]);
  });

  test('pass Roles Anywhere over where it is not configured, and say so', async () => {
    const source = sourcesOf({}).find(({ name }) => name === 'roles-anywhere');

    expect(await source?.load(new AbortController().signal)).toBeUndefined();
    expect(source?.absence).toBe('credentials.rolesAnywhere is not configured');
  });

  test.each(['environment', 'profile', 'web-identity', 'container', 'instance-role'])(
    'are the one that is named: %s',
    (source) => {
      expect(sourcesOf({ source }).map(({ name }) => name)).toEqual([source]);
    },
  );

  test('take an EC2 metadata service out of reach for an absence, unless it is the one that is named', async () => {
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: await deadEndpoint() };
    const signal = new AbortController().signal;

    const automatic = sourcesOf({}, env).at(-1)?.load(signal);
    const named = sourcesOf({ source: 'instance-role' }, env).at(-1)?.load(signal);

    await expect(named).rejects.toMatchObject({ code: 'CREDENTIALS_METADATA_UNREACHABLE' });
    expect(await automatic).toBeUndefined();
  });

  test('sign for Roles Anywhere themselves where no helper is named', async () => {
    const [source] = sourcesOf({ source: 'roles-anywhere', rolesAnywhere });

    const loading = source?.load(new AbortController().signal);

    await expect(loading).rejects.toMatchObject({ code: 'CERTIFICATE_UNREADABLE' });
  });

  test('read no certificate for another source', () => {
    expect(sourcesOf({ source: 'environment', rolesAnywhere })).toHaveLength(1);
  });
});
