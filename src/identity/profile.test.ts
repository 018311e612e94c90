import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, asyncProperty, constantFrom, dictionary, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { systemClock } from '../base/clock.ts';
import { asGatehouseError } from '../base/errors.ts';
import { runCommand } from '../system/command.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import { deadEndpoint, scriptedEndpoint } from './endpoint.contract.ts';
import { identityErrors } from './errors.ts';
import { type ProfileContext, profile } from './profile.ts';
import { type StsScript, scriptedSts } from './scripted-sts.contract.ts';

const signal = new AbortController().signal;
const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString();
const keys = 'aws_access_key_id = AKIAPROFILE\naws_secret_access_key = profile-secret\n';

interface Situation {
  readonly config?: string;
  readonly credentials?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly sts?: (input: object) => StsScript;
}

/** A home with the given files in `~/.aws`. */
function setup({ config, credentials, env = {}, sts = () => ({}) }: Situation = {}) {
  const home = temporaryDirectory();
  mkdirSync(join(home, '.aws'));
  if (config !== undefined) writeFileSync(join(home, '.aws', 'config'), config, { mode: 0o600 });
  if (credentials !== undefined)
    writeFileSync(join(home, '.aws', 'credentials'), credentials, { mode: 0o600 });
  const scripted = scriptedSts(sts);
  const context: ProfileContext = {
    env: { HOME: home, ...env },
    clock: systemClock,
    runCommand,
    sts: scripted.access,
    ssoClientConfig: () => ({}),
    sessionName: 'gatehouse-web-1',
  };
  return { home, sts: scripted, source: profile(context) };
}

/** A program that writes its `credential_process` output, in a file of its own. */
function program(script: string): string {
  const file = join(temporaryDirectory(), 'a program');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return `"${file}"`;
}

function output(changes: Record<string, unknown> = {}): string {
  const document = {
    Version: 1,
    AccessKeyId: 'ASIAPROCESS',
    SecretAccessKey: 'process-secret',
    SessionToken: 'process-token',
    Expiration: inAnHour(),
    ...changes,
  };
  return `cat <<'END'\n${JSON.stringify(document)}\nEND`;
}

credentialSourceContract('profile', {
  working: async () => {
    const { source } = setup({ credentials: `[default]\n${keys}` });
    return { source, accessKeyId: 'AKIAPROFILE', secretAccessKey: 'profile-secret' };
  },
  absent: async () => setup().source,
  failing: async (secretText) =>
    setup({
      config: `[default]\ncredential_process = ${program(`echo '${secretText}'; echo '${secretText}' >&2`)}`,
    }).source,
});

describe('the profile', () => {
  test('is the one that AWS_PROFILE names, from both files, the credentials file first', async () => {
    const { source } = setup({
      config:
        '[default]\naws_access_key_id=AKIAWRONG\n[profile team]\naws_access_key_id=AKIAWRONG\nregion=eu-west-1\n',
      credentials: `[team]\n${keys}`,
      env: { AWS_PROFILE: 'team' },
    });

    expect(await source.load(signal)).toMatchObject({ accessKeyId: 'AKIAPROFILE', source: 'profile' });
  });

  test.each([
    ['no file', {}, /there is neither .*config nor .*credentials/u],
    ['no default', { config: '[profile other]\nregion=eu-west-1' }, /default names no credentials/u],
    [
      'a default for the region only',
      { config: '[default]\nregion=eu-west-1' },
      /default names no credentials/u,
    ],
  ])('does not apply where there is %s', async (_what, files, absence) => {
    const { source } = setup(files);

    expect(await source.load(signal)).toBeUndefined();
    expect(source.absence).toMatch(absence);
  });

  test('that was asked for must exist', async () => {
    const { source } = setup({ config: `[default]\n${keys}`, env: { AWS_PROFILE: 'team' } });

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_PROFILE_MISSING',
      details: { profile: 'team' },
    });
  });

  test('may stand in files of any name', async () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, 'c'), `[profile team]\n${keys}`);
    const { source } = setup({
      env: {
        AWS_PROFILE: 'team',
        AWS_CONFIG_FILE: join(folder, 'c'),
        AWS_SHARED_CREDENTIALS_FILE: '~/nowhere',
      },
    });

    expect(await source.load(signal)).toMatchObject({ accessKeyId: 'AKIAPROFILE' });
  });

  test.each([
    [0o602, 'can be written by everybody'],
    [0o620, 'can be written by its group'],
  ])('is not read from a file of mode %o, which %s', async (mode, problem) => {
    const { home, source } = setup({ config: `[default]\n${keys}` });
    const file = join(home, '.aws', 'config');
    chmodSync(file, mode);

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_PROFILE_FILE_REFUSED',
      details: { file, problem },
    });
  });

  test.each<[string, string]>([
    ['source_profile=b\nrole_arn=arn:aws:iam::123456789012:role/A', 'source_profile b does not exist'],
    ['role_arn=arn:aws:iam::123456789012:role/A', 'role_arn needs source_profile or credential_source'],
    ['role_arn=arn:x\nsource_profile=default', 'source_profile leads back to default'],
    [
      'role_arn=arn:x\nsource_profile=default\ncredential_source=Environment',
      'source_profile and credential_source exclude each other',
    ],
    [
      'role_arn=arn:x\ncredential_source=Moon',
      'credential_source is none of Environment, EcsContainer, Ec2InstanceMetadata',
    ],
    [
      'role_arn=arn:x\ncredential_source=Environment',
      'credential_source Environment does not apply: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set',
    ],
    [
      'role_arn=arn:x\nsource_profile=b\nmfa_serial=arn:y',
      'mfa_serial asks for a one-time code, and nobody is there to type it',
    ],
    [
      'role_arn=arn:x\nsource_profile=b\nduration_seconds=soon',
      'duration_seconds is not a number of seconds',
    ],
    ['aws_access_key_id=AKIA', 'aws_access_key_id needs aws_secret_access_key'],
    ['aws_access_key_id=A B\naws_secret_access_key=s', 'aws_access_key_id holds white space'],
    ['web_identity_token_file=/t', 'web_identity_token_file needs role_arn'],
    ['credential_process=/bin/echo "half', 'credential_process has a quote that does not end'],
  ])('%j is told its problem', async (lines, problem) => {
    const { source } = setup({ config: `[default]\n${lines}\n` });

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_PROFILE_INVALID',
      details: { profile: 'default', problem },
    });
  });

  test('of any content leads to credentials, an absence or a typed error that repeats no value', async () => {
    const settings = [
      'role_arn',
      'source_profile',
      'credential_source',
      'aws_access_key_id',
      'aws_secret_access_key',
      'aws_session_token',
      'web_identity_token_file',
      'duration_seconds',
      'mfa_serial',
      'sso_session',
    ];
    const value = string({ minLength: 1, maxLength: 30 }).map((text) => `Zq${text}`);

    await assert(
      asyncProperty(dictionary(constantFrom(...settings), value), async (lines) => {
        const text = Object.entries(lines).map(([key, its]) => `${key} = ${its}\n`);
        const { source } = setup({ config: `[default]\n${text.join('')}` });

        const error = await source.load(signal).then(() => undefined, asGatehouseError);

        expect([undefined, ...Object.keys(identityErrors)]).toContain(error?.code);
        expect(JSON.stringify(error?.details ?? {})).not.toContain(
          lines['aws_secret_access_key'] ?? 'no secret in it',
        );
      }),
      { numRuns: 60 },
    );
  });
});

describe('a chain of roles', () => {
  const chain = [
    '[default]',
    'role_arn = arn:aws:iam::123456789012:role/Last',
    'source_profile = middle',
    'duration_seconds = 900',
    'role_session_name = me',
    '[profile middle]',
    'role_arn = arn:aws:iam::123456789012:role/First',
    'source_profile = base',
    'external_id = x-1',
    '[profile base]',
  ].join('\n');

  test('is assumed from its source on, each with the credentials before', async () => {
    const answers = [{ AccessKeyId: 'ASIAFIRST' }, { AccessKeyId: 'ASIALAST' }];
    const rest = { SecretAccessKey: 's', SessionToken: 't', Expiration: new Date(Date.now() + 3_600_000) };
    const { source, sts } = setup({
      config: `${chain}\n${keys}`,
      sts: () => ({ session: { ...answers.shift(), ...rest } }),
    });

    expect(await source.load(signal)).toMatchObject({ accessKeyId: 'ASIALAST', source: 'profile' });

    expect(sts.by).toEqual(['AKIAPROFILE', 'ASIAFIRST']);
    expect(sts.inputs).toEqual([
      {
        RoleArn: 'arn:aws:iam::123456789012:role/First',
        RoleSessionName: 'gatehouse-web-1',
        ExternalId: 'x-1',
        DurationSeconds: 3600,
      },
      { RoleArn: 'arn:aws:iam::123456789012:role/Last', RoleSessionName: 'me', DurationSeconds: 900 },
    ]);
    expect(sts.open()).toBe(0);
  });

  test('that AWS refuses says which role', async () => {
    const { source, sts } = setup({
      config: `${chain}\n${keys}`,
      sts: () => ({ error: 'AccessDenied', status: 403 }),
    });

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_ROLE_REFUSED',
      details: { awsError: 'AccessDenied', roleArn: 'arn:aws:iam::123456789012:role/First' },
    });
    expect(sts.open()).toBe(0);
  });

  test('may begin with keys in the same profile', async () => {
    const { source, sts } = setup({ config: `[default]\nrole_arn=arn:x\nsource_profile=default\n${keys}` });

    await source.load(signal);

    expect(sts.by).toEqual(['AKIAPROFILE']);
  });

  test('may begin with a program', async () => {
    const { source, sts } = setup({ config: `${chain}\ncredential_process = ${program(output())}\n` });

    await source.load(signal);

    expect(sts.by).toEqual(['ASIAPROCESS', 'ASIASESSION']);
  });

  test('may begin with the environment, the container or the instance, by version 2 alone', async () => {
    const container = await scriptedEndpoint((_request, response) => {
      response.end(
        JSON.stringify({
          AccessKeyId: 'ASIACONTAINER',
          SecretAccessKey: 's',
          Token: 't',
          Expiration: inAnHour(),
        }),
      );
    });
    const env = {
      AWS_ACCESS_KEY_ID: 'AKIAENVIRONMENT',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: container.url,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: await deadEndpoint(),
    };
    const from = (source: string) =>
      setup({ config: `[default]\nrole_arn=arn:x\ncredential_source=${source}\n`, env });
    const environment = from('Environment');
    const ecs = from('EcsContainer');

    await environment.source.load(signal);
    await ecs.source.load(signal);

    expect([environment.sts.by, ecs.sts.by]).toEqual([['AKIAENVIRONMENT'], ['ASIACONTAINER']]);
    await expect(from('Ec2InstanceMetadata').source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_METADATA_UNREACHABLE',
    });
  });

  test('may be a web identity', async () => {
    const tokenFile = join(temporaryDirectory(), 'token');
    writeFileSync(tokenFile, 'a.b.c');
    const { source, sts } = setup({
      config: `[default]\nrole_arn=arn:x\nweb_identity_token_file=${tokenFile}\n`,
    });

    expect(await source.load(signal)).toMatchObject({ accessKeyId: 'ASIASESSION', source: 'profile' });

    expect(sts.inputs).toEqual([
      { RoleArn: 'arn:x', RoleSessionName: 'gatehouse-web-1', WebIdentityToken: 'a.b.c' },
    ]);
    expect(sts.by).toEqual([undefined]);
  });
});

const processOf = (line: string) => setup({ config: `[default]\ncredential_process = ${line}\n` });

describe('a credential process', () => {
  test('may hand out long-term keys, which have no end', async () => {
    const { source } = processOf(program(output({ SessionToken: undefined, Expiration: undefined })));

    const credentials = await source.load(signal);

    expect(credentials).toMatchObject({ accessKeyId: 'ASIAPROCESS' });
    expect(credentials?.expiration).toBeUndefined();
  });

  test('gets its arguments as they are quoted, and no shell', async () => {
    const check = program(
      `[ "$#" = 2 ] && [ "$1" = 'two words' ] && [ "$2" = '$HOME' ] || exit 9\n${output()}`,
    );

    expect(await processOf(`${check} "two words" $HOME`).source.load(signal)).toMatchObject({
      accessKeyId: 'ASIAPROCESS',
    });
  });

  test('is given nothing of our environment but what it needs to reach AWS', async () => {
    const check = program(
      `[ -z "$AWS_PROFILE$NOTIFY_SOCKET$OTHER" ] && [ "$HTTPS_PROXY" = p ] || exit 9\n${output()}`,
    );
    const { source } = setup({
      config: `[profile team]\ncredential_process = ${check}\n`,
      env: { AWS_PROFILE: 'team', NOTIFY_SOCKET: '/n', OTHER: 'o', HTTPS_PROXY: 'p' },
    });

    expect(await source.load(signal)).toMatchObject({ accessKeyId: 'ASIAPROCESS' });
  });

  test.each([
    ['fails', 'exit 3', 'CREDENTIALS_PROCESS_FAILED', { exitCode: 3 }],
    ['writes no JSON', 'echo hello', 'CREDENTIALS_PROCESS_OUTPUT_INVALID', { isJson: false }],
    [
      'writes another version',
      output({ Version: 2 }),
      'CREDENTIALS_PROCESS_OUTPUT_INVALID',
      { fields: ['Version'] },
    ],
    ['writes without end', 'yes', 'CREDENTIALS_PROCESS_OUTPUT_INVALID', { outputBytesMax: 65_536 }],
    [
      'writes what expired',
      output({ Expiration: '2020-01-01T00:00:00Z' }),
      'CREDENTIALS_HANDED_OUT_EXPIRED',
      {},
    ],
  ])('that %s is a typed error', async (_what, script, code, details) => {
    const { source } = processOf(program(script));

    await expect(source.load(signal)).rejects.toMatchObject({ code, details });
  });

  test('that cannot be started is a typed error', async () => {
    const { source } = processOf('/nowhere/program');

    await expect(source.load(signal)).rejects.toMatchObject({
      code: 'CREDENTIALS_PROCESS_NOT_STARTED',
      details: { profile: 'default' },
    });
  });
});
