import { hash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scriptedEndpoint } from '../../src/identity/endpoint.contract.ts';
import { gatehouse } from '../support/agent.ts';
import { setup } from '../support/host.ts';
import { patienceMs } from '../support/patience.ts';
import { type RolesAnywhereOptions, rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('whoami names the source that answered, the role and the expiry', async () => {
  const host = await setup();

  const text = await host.run(['whoami']);
  const { code, stdout, stderr } = await host.run(['whoami', '--json']);

  const who: unknown = JSON.parse(stdout);
  expect(who).toEqual({
    source: 'instance-role',
    arn: expect.stringMatching(/^arn:aws:sts::123456789012:assumed-role\/GatehouseHost\/i-/u),
    account: '123456789012',
    role: 'GatehouseHost',
    sessionName: expect.stringMatching(/^i-/u),
    expiration: expect.stringMatching(/^\d{4}-.*Z$/u),
    notApplied: ['environment', 'profile', 'web-identity', 'roles-anywhere', 'container'].map((source) => ({
      source,
      why: expect.any(String),
    })),
    warnings: [],
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const rows = text.stdout.trimEnd().split('\n');
  expect(rows[0]).toMatch(/^source +instance-role$/u);
  expect(rows[1]).toMatch(/^arn +arn:aws:sts::/u);
  expect(rows[2]).toMatch(/^account +123456789012$/u);
  expect(rows[3]).toMatch(/^session name +i-/u);
  expect(rows[4]).toMatch(/^expires +\d{4}-/u);
  expect(rows[5]).toMatch(/^did not apply +environment: /u);
});

test('whoami warns of a clock that is off, by how much, and of an identity that is not the expected one', async () => {
  const host = await setup({ bootstrap: { credentials: { expectRoleName: 'Other' } } });
  host.sandbox.faults.add({ service: 'sts', effect: { kind: 'clock', offsetSeconds: -900 } });

  const { code, stdout } = await host.run(['whoami', '--json']);
  const text = await host.run(['whoami']);

  const { warnings } = JSON.parse(stdout) as {
    warnings: { code: string; details: Record<string, unknown> }[];
  };
  expect(warnings.map((warning) => warning.code)).toEqual([
    'CLOCK_SKEWED',
    'CREDENTIALS_UNEXPECTED_IDENTITY',
  ]);
  expect(Math.abs(Number(warnings[0]?.details['secondsBehindAws']) + 900)).toBeLessThan(patienceMs / 1000);
  expect(text.stdout).toMatch(
    /^warning +this host's clock is not AWS's: secondsBehindAws -\d+ \(CLOCK_SKEWED\)$/mu,
  );
  expect(code).toBe(0);
});

test('whoami --check says all that is wrong, and what works beside it', async () => {
  const right = await setup();
  const wrong = await setup({ bootstrap: { credentials: { expectRoleName: 'Other' } } });
  const nobody = await setup();
  nobody.sandbox.instance.role = undefined;
  const check = async (host: typeof right) => {
    const { code, stdout } = await host.run(['whoami', '--check', '--json']);
    const { who, problems, exitCode } = JSON.parse(stdout) as {
      who?: { source: string };
      problems: { code: string }[];
      exitCode: number;
    };
    return { exit: [code, exitCode], source: who?.source, problems: problems.map((problem) => problem.code) };
  };

  expect(await check(right)).toEqual({ exit: [0, 0], source: 'instance-role', problems: [] });
  expect(await check(wrong)).toEqual({
    exit: [77, 77],
    source: 'instance-role',
    problems: ['CREDENTIALS_UNEXPECTED_IDENTITY'],
  });
  expect(await check(nobody)).toEqual({
    exit: [77, 77],
    source: undefined,
    problems: ['CREDENTIALS_NO_ROLE'],
  });
  expect((await right.run(['whoami', '--check'])).stdout).toMatch(/^checks +nothing is wrong$/mu);
});

test('a host with a certificate is told whether its session is named after it, and all that is wrong with both', async () => {
  const host = await setup();
  const { identity, file, issuer, sandbox } = await certificateHost(host);
  const whoami = async (...args: string[]) => {
    const { code, stdout } = await gatehouse(['whoami', '--json', '--config', file, ...args], {
      env: host.env,
    });
    return { code, found: JSON.parse(stdout) as Record<string, unknown> };
  };

  const right = await whoami();
  const old = await issuer.issue({ notAfter: new Date('2021-01-01'), notBefore: new Date('2020-01-01') });
  writeFileSync(identity.certificate, old.pem);
  chmodSync(identity.privateKey, 0o644);
  const calls = sandbox.calls.list().length;
  const wrong = await whoami('--check');

  expect(right.found).toMatchObject({
    source: 'roles-anywhere',
    sessionName: expect.stringMatching(/^[0-9a-f]+$/u),
    certificate: { serialNumber: expect.stringMatching(/^[0-9a-f]+$/u), isSessionName: true },
    warnings: [],
  });
  const problems = wrong.found['problems'] as { code: string }[];
  expect(new Set(problems.map(({ code }) => code)).size).toBe(problems.length);
  expect(problems.map(({ code }) => code)).toEqual(
    expect.arrayContaining(['PRIVATE_KEY_EXPOSED', 'CERTIFICATE_KEY_MISMATCH', 'CERTIFICATE_EXPIRED']),
  );
  expect(wrong.code).not.toBe(0);
  // Nothing of it was asked of AWS.
  expect(sandbox.calls.list()).toHaveLength(calls);
});

test('a host with an ML-DSA key is told that this is an experiment', async () => {
  const host = await setup();
  const { file } = await certificateHost(host, { certificate: { key: 'ml-dsa-65' } });

  const { code, stdout } = await gatehouse(['whoami', '--json', '--config', file], { env: host.env });

  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    source: 'roles-anywhere',
    certificate: { isExperimental: true },
    warnings: [{ code: 'CERTIFICATE_KEY_EXPERIMENTAL' }],
  });
});

/** The host with a certificate for its identity, and a config that says so. */
async function certificateHost(
  { sandbox, disk }: Awaited<ReturnType<typeof setup>>,
  options: RolesAnywhereOptions = {},
) {
  const made = await rolesAnywhereHost(sandbox, disk, options);
  const file = join(disk, 'with-certificate.json');
  const credentials = { source: 'roles-anywhere', rolesAnywhere: made.identity };
  writeFileSync(file, JSON.stringify({ region: sandbox.region, credentials }), { mode: 0o600 });
  return { ...made, file, sandbox };
}

test('long-term keys never expire, and no key is shown', async () => {
  const { configFile, env, operator } = await setup();

  const { code, stdout, stderr } = await gatehouse(['whoami', '--config', configFile], {
    env: { ...env, ...operator.env },
  });

  expect(stdout).toMatch(/^expires +never$/mu);
  expect(stdout).toMatch(/^warning +the credentials are long-term keys.* \(CREDENTIALS_LONG_TERM\)$/mu);
  expect(stdout + stderr).not.toContain(operator.env.AWS_SECRET_ACCESS_KEY);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('each way of being nobody has its exit code, and one JSON object on stderr', async () => {
  const { configFile, env, operator, url } = await setup();
  const keys = { ...env, ...operator.env };
  const nobody = [
    ['CREDENTIALS_NOT_FOUND', 77, { AWS_ENDPOINT_URL: url, AWS_EC2_METADATA_DISABLED: 'true' }],
    ['CREDENTIALS_ENVIRONMENT_INVALID', 78, { ...env, AWS_ACCESS_KEY_ID: 'AKIAONLYHALF' }],
    ['CREDENTIALS_REFUSED', 77, { ...keys, AWS_SECRET_ACCESS_KEY: 'x'.repeat(40) }],
    ['CREDENTIALS_STS_UNREACHABLE', 69, { ...keys, AWS_ENDPOINT_URL: 'http://127.0.0.1:9' }],
    ['AWS_ENDPOINT_INSECURE', 78, { ...keys, AWS_ENDPOINT_URL_STS: 'http://sts.example.com' }],
    ['AWS_ENDPOINT_INVALID', 78, { ...keys, AWS_ENDPOINT_URL: 'sts' }],
    ['AWS_CA_BUNDLE_UNREADABLE', 78, { ...keys, AWS_CA_BUNDLE: '/nowhere/ca.pem' }],
  ] as const;

  for (const [said, exit, environment] of nobody) {
    const { code, stdout, stderr } = await gatehouse(['whoami', '--json', '--config', configFile], {
      env: environment,
    });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: said } });
    expect({ said, code, stdout }).toEqual({ said, code: exit, stdout: '' });
  }
});

test('an endpoint of the AWS config file carries nothing in clear either', async () => {
  const { configFile, operator } = await setup();
  const config = join(temporaryDirectory(), 'config');
  writeFileSync(config, '[default]\nendpoint_url = http://192.0.2.1\n', { mode: 0o600 });

  const { code, stderr } = await gatehouse(['whoami', '--json', '--config', configFile], {
    env: { ...operator.env, AWS_CONFIG_FILE: config },
  });

  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'AWS_ENDPOINT_INSECURE' } });
  expect(code).toBe(78);
});

test('a profile whose owner signed in once is asked for by name', async () => {
  const { configFile, env, sandbox } = await setup();
  const home = temporaryDirectory();
  const startUrl = 'https://example.awsapps.com/start';
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = sandbox.identities.issueSession({
    role: 'GatehouseHost',
    sessionName: 'me@example.com',
    durationSeconds: 3600,
  });
  const roleCredentials = { accessKeyId, secretAccessKey, sessionToken, expiration: expiration.getTime() };
  const portal = await scriptedEndpoint((request, response) => {
    const isSignedIn = request.headers['x-amz-sso_bearer_token'] === 'portal-token';
    response.writeHead(isSignedIn ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isSignedIn ? { roleCredentials } : {}));
  });
  mkdirSync(join(home, '.aws', 'sso', 'cache'), { recursive: true });
  writeFileSync(
    join(home, '.aws', 'config'),
    `[profile team]\nsso_start_url = ${startUrl}\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = GatehouseHost\n`,
    { mode: 0o600 },
  );
  const cached = join(home, '.aws', 'sso', 'cache', `${hash('sha1', startUrl)}.json`);
  const who = async (accessToken: string) => {
    writeFileSync(cached, JSON.stringify({ startUrl, accessToken, expiresAt: '2099-01-01T00:00:00Z' }));
    return gatehouse(['whoami', '--json', '--config', configFile], {
      env: { ...env, HOME: home, AWS_PROFILE: 'team', AWS_ENDPOINT_URL_SSO: portal.url },
    });
  };

  const signedIn = await who('portal-token');
  const signedOut = await who('old-token');

  expect(JSON.parse(signedIn.stdout)).toMatchObject({ source: 'profile', sessionName: 'me@example.com' });
  expect(JSON.parse(signedOut.stderr)).toMatchObject({
    error: { code: 'CREDENTIALS_SSO_FAILED', details: { profile: 'team' } },
  });
  expect(signedOut.code).toBe(77);
});
