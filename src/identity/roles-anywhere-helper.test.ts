import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { patienceMs } from '../../test/support/patience.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { asGatehouseError, reportOf } from '../base/errors.ts';
import { runCommand } from '../system/command.ts';
import { credentialSourceContract, everythingOf } from './credential-source.contract.ts';
import {
  helperArguments,
  type RunHelper,
  rolesAnywhereHelper,
  unconfiguredRolesAnywhere,
} from './roles-anywhere-helper.ts';

const signal = new AbortController().signal;
const clock = fakeClock(new Date());
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();

const config = {
  trustAnchorArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/a',
  profileArn: 'arn:aws:rolesanywhere:eu-west-1:123456789012:profile/b',
  roleArn: 'arn:aws:iam::123456789012:role/GatehouseHost',
  certificate: '/c.pem',
  privateKey: '/k.pem',
  sessionDurationSeconds: 3600,
  helper: '/helper',
};

const output = (changes: Record<string, unknown> = {}): string =>
  JSON.stringify({
    Version: 1,
    AccessKeyId: 'ASIAHELPER',
    SecretAccessKey: 'helper-secret',
    SessionToken: 'helper-token',
    Expiration: inAnHour,
    ...changes,
  });

/** A helper that is really a shell script, run for real and with as much patience as asked for. */
function setup(script: string, env: Record<string, string> = {}, timeoutMs = patienceMs) {
  const helper = join(temporaryDirectory(), 'helper');
  writeFileSync(helper, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const run: RunHelper = (argv, limits, until) => runCommand(argv, { ...limits, timeoutMs }, until);
  return rolesAnywhereHelper({ ...config, helper }, run, env, clock);
}

const print = (text: string): string => `cat <<'END'\n${text}\nEND`;

credentialSourceContract('roles-anywhere', {
  working: async () => ({
    source: setup(print(output())),
    accessKeyId: 'ASIAHELPER',
    secretAccessKey: 'helper-secret',
  }),
  absent: async () => unconfiguredRolesAnywhere,
  failing: async (secretText) =>
    setup(`echo "debug: ${secretText} AccessDeniedException" >&2; echo "${secretText}"; exit 1`),
});

describe('the signing helper', () => {
  test('is called as the documented program is', () => {
    const argv = helperArguments(
      { ...config, intermediates: '/i.pem', roleSessionName: 'web-1' },
      { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', HTTPS_PROXY: 'http://proxy' },
    );

    expect(argv.join(' ')).toBe(
      '/helper credential-process --certificate /c.pem --private-key /k.pem --intermediates /i.pem' +
        ` --trust-anchor-arn ${config.trustAnchorArn} --profile-arn ${config.profileArn}` +
        ` --role-arn ${config.roleArn} --session-duration 3600 --role-session-name web-1 --endpoint http://127.0.0.1:1 --with-proxy`,
    );
  });

  test('prefers the endpoint that is its own', () => {
    const env = { AWS_ENDPOINT_URL_ROLESANYWHERE: 'https://own', AWS_ENDPOINT_URL: 'https://any' };

    expect(helperArguments(config, env)).toContain('https://own');
  });

  test('gets its arguments one by one, and of our environment only what concerns it', async () => {
    const report = join(temporaryDirectory(), 'report');
    const source = setup(`{ printf '%s\\n' "$@"; env; } > ${report}\n${print(output())}`, {
      AWS_SECRET_ACCESS_KEY: 'not-for-children',
      AWS_CA_BUNDLE: '/ca.pem',
      NO_PROXY: 'localhost',
    });

    await source.load(signal);

    const seen = readFileSync(report, 'utf8');
    expect(seen.startsWith('credential-process\n--certificate\n/c.pem\n')).toBe(true);
    expect(seen).toContain('SSL_CERT_FILE=/ca.pem');
    expect(seen).toContain('NO_PROXY=localhost');
    expect(seen).not.toContain('AWS_');
    expect(seen).not.toContain('not-for-children');
  });

  test('that hangs is given up', async () => {
    const source = setup('sleep 600', {}, 200);

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_HELPER_TIMED_OUT' });
  });

  test.each<[string, string, string]>([
    ['floods its output', 'exec yes', 'CREDENTIALS_HELPER_OUTPUT_TOO_LARGE'],
    ['floods its error output', 'exec yes >&2', 'CREDENTIALS_HELPER_OUTPUT_TOO_LARGE'],
    ['writes garbage', 'echo garbage', 'CREDENTIALS_HELPER_NOT_JSON'],
    ['writes nothing', 'true', 'CREDENTIALS_HELPER_NOT_JSON'],
    ['writes an array', 'echo "[]"', 'CREDENTIALS_HELPER_INCOMPLETE'],
    ['writes another version', print(output({ Version: 2 })), 'CREDENTIALS_HELPER_INCOMPLETE'],
    ['writes no token', print(output({ SessionToken: undefined })), 'CREDENTIALS_HELPER_INCOMPLETE'],
    ['writes an empty key', print(output({ SecretAccessKey: '' })), 'CREDENTIALS_HELPER_INCOMPLETE'],
    ['writes no time', print(output({ Expiration: 'soon' })), 'CREDENTIALS_HELPER_INCOMPLETE'],
    [
      'writes an expired time',
      print(output({ Expiration: '2020-01-01T00:00:00Z' })),
      'CREDENTIALS_HANDED_OUT_EXPIRED',
    ],
    ['fails', 'exit 1', 'CREDENTIALS_HELPER_FAILED'],
    ['fails after writing credentials', `${print(output())}\nexit 1`, 'CREDENTIALS_HELPER_FAILED'],
    ['is refused', 'echo "x AccessDeniedException: y" >&2; exit 1', 'CREDENTIALS_REFUSED'],
    ['is throttled', 'echo "ThrottlingException" >&2; exit 1', 'CREDENTIALS_THROTTLED'],
    ['kills itself', 'kill -9 $$', 'CREDENTIALS_HELPER_FAILED'],
  ])('that %s', async (_what, script, code) => {
    const source = setup(script);

    await expect(source.load(signal)).rejects.toMatchObject({ code });
  });

  test.each([
    [{ SessionToken: undefined, Version: '1' }, ['Version', 'SessionToken']],
    [{ AccountId: 'a made-up key', AccessKeyId: '' }, ['AccessKeyId', 'AccountId']],
  ])('that writes JSON with %j is told which fields are wrong', async (changes, fields) => {
    const source = setup(print(output(changes)));

    await expect(source.load(signal)).rejects.toMatchObject({ details: { fields } });
  });

  test('that is not there could not be started', async () => {
    const source = rolesAnywhereHelper({ ...config, helper: '/nowhere/helper' }, runCommand, {}, clock);

    await expect(source.load(signal)).rejects.toMatchObject({ code: 'CREDENTIALS_HELPER_NOT_STARTED' });
  });

  test('that is stopped ends with the signal’s reason', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const source = setup('sleep 600');

    const loading = source.load(stop.signal);
    stop.abort(reason);

    await expect(loading).rejects.toBe(reason);
  });

  test.each([
    ['on its error output', 'echo "SecretAccessKey=SECRET" >&2; echo "SECRETException" >&2; exit 1'],
    ['in JSON of another shape', 'echo \'{"SECRET":"SECRET"}\''],
    ['in JSON cut short', 'printf \'{"SecretAccessKey":"SECRET\''],
    ['in a field of the wrong type', print(output({ SecretAccessKey: ['SECRET'] }))],
  ])('that shows a secret %s does not see it repeated', async (_what, script) => {
    const secretText = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
    const source = setup(script.replaceAll('SECRET', secretText));

    const error = await source.load(signal).then(() => undefined, asGatehouseError);

    expect(error?.code).toMatch(/^CREDENTIALS_HELPER_/u);
    expect(JSON.stringify(reportOf(error))).not.toContain(secretText);
    expect(everythingOf(error)).not.toContain(secretText);
  });

  test.each([
    ['ValidationException', 'ValidationException'],
    [
      'operation error RolesAnywhere: api error ResourceNotFoundException: no such profile',
      'ResourceNotFoundException',
    ],
    ['wJalrXUtnFEMIException', undefined],
    ['abc/AccessDeniedException', undefined],
    [`${'Word'.repeat(30)}Exception`, undefined],
  ])('that says %s is quoted as %s', async (said, awsError) => {
    const source = setup(`echo '${said}' >&2; exit 1`);

    const error = await source.load(signal).then(() => undefined, asGatehouseError);

    expect(error?.details['awsError']).toBe(awsError);
    expect(error?.details['exitCode']).toBe(1);
  });
});
