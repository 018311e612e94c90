import { describe, expect, test } from 'vitest';
import { credentialsConfig } from './config.ts';

const rolesAnywhere = {
  trustAnchorArn:
    'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/0f9f4d1c-5a9a-4b5e-9d0e-2f6f0c9f8a11',
  profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/0f9f4d1c-5a9a-4b5e-9d0e-2f6f0c9f8a12',
  roleArn: 'arn:aws:iam::123456789012:role/hosts/Gatehouse=Host',
  certificate: '/etc/gatehouse/identity/certificate.pem',
  privateKey: '/etc/gatehouse/identity/private-key.pem',
};

function pathsOf(input: unknown): string[] {
  const parsed = credentialsConfig.safeParse(input);
  return parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join('.'));
}

describe('the credentials config', () => {
  test('is automatic when nothing is said', () => {
    expect(credentialsConfig.parse({})).toEqual({ source: 'auto' });
  });

  test('fills in the session’s duration', () => {
    const config = credentialsConfig.parse({ source: 'roles-anywhere', rolesAnywhere });

    expect(config.rolesAnywhere).toEqual({ ...rolesAnywhere, sessionDurationSeconds: 3600 });
  });

  test.each([
    ['aws-cn', 'cn-north-1'],
    ['aws-us-gov', 'us-gov-west-1'],
  ])('knows the partition %s', (partition, region) => {
    const moved = Object.fromEntries(
      Object.entries(rolesAnywhere).map(([key, value]) => [
        key,
        value.replace('arn:aws:', `arn:${partition}:`).replace('eu-west-1', region),
      ]),
    );

    expect(pathsOf({ rolesAnywhere: moved })).toEqual([]);
  });

  test.each([
    'pkcs11:token=pin-pad;object=web-1',
    'pkcs11:token=a;object=key%20pin-7?module-path=/usr/lib/pin-pad/module.so',
  ])('takes %s, in which there is no PIN', (uri) => {
    expect(pathsOf({ rolesAnywhere: { ...rolesAnywhere, certificate: uri, privateKey: uri } })).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['trustAnchorArn', { trustAnchorArn: rolesAnywhere.profileArn }],
    ['trustAnchorArn', { trustAnchorArn: `${rolesAnywhere.trustAnchorArn}\n` }],
    ['profileArn', { profileArn: rolesAnywhere.profileArn.replace('eu-west-1', 'us-east-1') }],
    ['roleArn', { roleArn: 'arn:aws:iam::12345678901:role/Short' }],
    ['roleArn', { roleArn: 'arn:aws:iam::123456789012:user/Someone' }],
    ['certificate', { certificate: 'certificate.pem' }],
    ['privateKey', { privateKey: 'pkcs11:token=a;object=b?pin-value=1234' }],
    ['privateKey', { privateKey: 'pkcs11:token=a;pin-source=file:/pin' }],
    ['certificate', { certificate: 'pkcs11:token=a?module-path=/m.so&pin-value=1234' }],
    ['certificate', { certificate: '/etc/gatehouse/a\n/certificate.pem' }],
    ['privateKey', { privateKey: '/etc/gatehouse/a\u001b/private-key.pem' }],
    ['privateKeyPassword', { privateKeyPassword: '/etc/gatehouse/a\n/password' }],
    ['helper', { helper: '/usr/bin/a\n/helper' }],
    ['renewCommand', { renewCommand: ['/usr/bin/a\n/renew'] }],
    ['privateKey', { privateKey: '--debug' }],
    ['intermediates', { intermediates: '' }],
    ['sessionDurationSeconds', { sessionDurationSeconds: 899 }],
    ['sessionDurationSeconds', { sessionDurationSeconds: 43_201 }],
    ['sessionDurationSeconds', { sessionDurationSeconds: 3600.5 }],
    ['privateKeyPassword', { privateKeyPassword: '../password' }],
    ['privateKeyPassword', { privateKeyPassword: 'password', helper: '/helper' }],
    ['roleSessionName', { roleSessionName: 'a' }],
    ['helper', { helper: 'bin/aws_signing_helper' }],
    ['helper', { helper: 'sh -c evil' }],
    ['', { region: 'eu-west-1' }],
  ])('points at rolesAnywhere.%s in %j', (path, change) => {
    const expected = path === '' ? 'rolesAnywhere' : `rolesAnywhere.${path}`;

    expect(pathsOf({ rolesAnywhere: { ...rolesAnywhere, ...change } })).toEqual([expected]);
  });

  test('asks for the section of the source that is named', () => {
    expect(pathsOf({ source: 'roles-anywhere' })).toEqual(['rolesAnywhere']);
  });

  test.each([
    [{ expectAccountId: '123456789012', expectRoleName: 'GatehouseHost' }, []],
    [{ expectAccountId: '1234-5678-9012' }, ['expectAccountId']],
    [{ expectRoleName: 'arn:aws:iam::123456789012:role/GatehouseHost' }, ['expectRoleName']],
  ])('takes an account and a role to be sure of: %j', (input, paths) => {
    expect(pathsOf(input)).toEqual(paths);
  });

  test('does not know sources that do not exist yet', () => {
    expect(pathsOf({ source: 'single-sign-on' })).toEqual(['source']);
  });
});
