import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { proxy } from '../../../test/support/proxy.ts';
import { rolesAnywhereHost } from '../../../test/support/roles-anywhere.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { systemClock } from '../../base/clock.ts';
import { rolesAnywhere } from '../../identity/roles-anywhere/roles-anywhere.ts';
import { awsPost } from './aws-post.ts';
import { awsReach, type Environment } from './aws-reach.ts';

const { signal } = new AbortController();

/** A host with a certificate and the sandbox, by HTTPS: `load` gets a session as the agent of this environment does. */
async function setup() {
  const sandbox = createSandbox();
  const listener = await sandbox.listen({ tls: true });
  onTestFinished(() => listener.close());
  const folder = temporaryDirectory();
  const caBundle = join(folder, 'ca.pem');
  writeFileSync(caBundle, listener.caPem ?? '');
  const { identity } = await rolesAnywhereHost(sandbox, folder);
  const load = (env: Environment) => {
    const reach = awsReach('ROLESANYWHERE', env);
    const context = { env: {}, clock: systemClock, endpoint: reach, post: awsPost(reach) };
    return rolesAnywhere(identity, context).load(signal);
  };
  return { url: listener.url, caBundle, load, sandbox };
}

test.each(['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_ROLESANYWHERE'])(
  'a session comes from where %s says, under the authorities of AWS_CA_BUNDLE',
  async (variable) => {
    const { url, caBundle, load } = await setup();

    const credentials = await load({ [variable]: url, AWS_CA_BUNDLE: caBundle });

    expect(credentials?.accessKeyId).toMatch(/^ASIA/u);
  },
);

test('an authority that nobody named is not trusted', async () => {
  const { url, load, sandbox } = await setup();

  await expect(load({ AWS_ENDPOINT_URL: url })).rejects.toMatchObject({
    code: 'ROLES_ANYWHERE_UNREACHABLE',
    cause: { code: expect.stringMatching(/CERT|SELF_SIGNED|UNABLE_TO/u) },
  });
  expect(sandbox.calls.list()).toEqual([]);
});

test('a proxy gets the user and the password of its URL, and another one is refused there', async () => {
  const { url, caBundle, load } = await setup();
  const { url: proxyUrl, tunnels } = await proxy({ password: 'p@ss:word' });
  const env = { AWS_ENDPOINT_URL_ROLESANYWHERE: url, AWS_CA_BUNDLE: caBundle };

  const credentials = await load({ ...env, HTTPS_PROXY: proxyUrl });
  const refused = load({ ...env, HTTPS_PROXY: proxyUrl.replace('p%40ss', 'wrong') });

  expect(credentials?.accessKeyId).toMatch(/^ASIA/u);
  await expect(refused).rejects.toMatchObject({ code: 'ROLES_ANYWHERE_UNREACHABLE' });
  expect(tunnels).toEqual([new URL(url).host]);
});

test('NO_PROXY goes past the proxy', async () => {
  const { url, caBundle, load } = await setup();
  const { url: proxyUrl, tunnels } = await proxy();

  await load({
    AWS_ENDPOINT_URL: url,
    AWS_CA_BUNDLE: caBundle,
    HTTPS_PROXY: proxyUrl,
    NO_PROXY: '127.0.0.1',
  });

  expect(tunnels).toEqual([]);
});

test('FIPS and dual stack are asked for by name, through the proxy', async () => {
  const { load } = await setup();
  const { url: proxyUrl, tunnels } = await proxy();
  const env = { HTTPS_PROXY: proxyUrl, AWS_USE_FIPS_ENDPOINT: 'true', AWS_USE_DUALSTACK_ENDPOINT: 'true' };

  await expect(load(env)).rejects.toMatchObject({ code: 'ROLES_ANYWHERE_UNREACHABLE' });

  expect(new Set(tunnels)).toEqual(new Set(['rolesanywhere-fips.eu-west-1.api.aws:443']));
});
