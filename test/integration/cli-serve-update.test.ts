import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { gatehouse, type RunningAgent, startProgram } from '../support/agent.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A host with a certificate, and the flags that AWS's helper would be given on it. */
async function setup() {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const folder = temporaryDirectory();
  const { identity } = await rolesAnywhereHost(sandbox, folder);
  const flags = [
    ['--certificate', identity.certificate],
    ['--private-key', identity.privateKey],
    ['--trust-anchor-arn', identity.trustAnchorArn],
    ['--profile-arn', identity.profileArn],
    ['--role-arn', identity.roleArn],
    ['--endpoint', listener.url],
  ].flat();
  return { sandbox, listener, folder, flags, env: { HOME: folder } };
}

/** Where `serve` says that it is. */
async function served(program: RunningAgent): Promise<string> {
  const line = await program.said(/^export AWS_EC2_METADATA_SERVICE_ENDPOINT=/u);
  return line.slice(line.indexOf('=') + 1);
}

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

async function arnOf(endpoint: string, credentials: Keys | (() => Promise<Keys>)) {
  const client = new STSClient({ endpoint, region: 'eu-west-1', credentials });
  onTestFinished(() => client.destroy());
  return (await client.send(new GetCallerIdentityCommand({}))).Arn;
}

describe('serve', () => {
  test('is instance metadata to the AWS SDK, at the address that it prints, until it is stopped', async () => {
    const { flags, env, listener } = await setup();
    const program = startProgram(['serve', ...flags, '--port', '0', '--hop-limit', '64'], env);
    const url = await served(program);

    const before = process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
    process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = url;
    onTestFinished(() => {
      process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = before ?? '';
    });

    expect(await arnOf(listener.url, fromInstanceMetadata())).toMatch(/:assumed-role\/GatehouseHost\//u);
    expect(await program.stop()).toMatchObject({ code: 0 });
  });

  test('ends at once where the host has to be mended, with the exit code of that', async () => {
    const { flags, env, folder } = await setup();
    writeFileSync(join(folder, 'private-key.pem'), 'not a key');

    const { code, stdout } = await gatehouse(['serve', ...flags, '--port', '0'], { env });

    expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  });

  test.each(['65536', '-1', 'http', '0x10'])('takes no port %s', async (port) => {
    const { flags, env } = await setup();

    const { code, stderr } = await gatehouse(['serve', ...flags, `--port=${port}`], { env });

    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining('--port') });
  });
});

test.each([
  ['serve', '--no-verify-ssl', 'AWS_CA_BUNDLE'],
  ['update', '--cert-selector=x', '--certificate'],
  ['serve', '—certificate', 'write --certificate'],
])('%s that is given %s says what to use', async (command, flag, instead) => {
  const { code, stderr } = await gatehouse([command, flag]);

  expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining(instead) });
});

describe('update', () => {
  test('writes one profile once, for the user alone, and leaves the others', async () => {
    const { flags, env, folder, listener } = await setup();
    const file = join(folder, 'shared');
    writeFileSync(file, '[other]\naws_access_key_id = AKIAOTHER\n', { mode: 0o644 });

    const { code, stdout, stderr } = await gatehouse(['update', ...flags, '--once', '--profile', 'mine'], {
      env: { ...env, AWS_SHARED_CREDENTIALS_FILE: file },
    });

    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('[other]\naws_access_key_id = AKIAOTHER\n');
    const [, accessKeyId = ''] = /\[mine\]\naws_access_key_id = (\S+)/u.exec(text) ?? [];
    const [, secretAccessKey = ''] = /aws_secret_access_key = (\S+)/u.exec(text) ?? [];
    const [, sessionToken = ''] = /aws_session_token = (\S+)/u.exec(text) ?? [];
    expect(await arnOf(listener.url, { accessKeyId, secretAccessKey, sessionToken })).toMatch(
      /GatehouseHost/u,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(stderr).not.toContain(secretAccessKey);
  });

  test('goes on when AWS is away at first, until it is stopped', async () => {
    const { flags, env, folder, sandbox } = await setup();
    const fault = sandbox.faults.add({ service: 'rolesanywhere', effect: { kind: 'cut' } });
    const program = startProgram(['update', ...flags], env);
    await program.event('credentials-file.failed');

    sandbox.faults.remove(fault);
    await program.event('credentials-file.written');

    expect(readFileSync(join(folder, '.aws', 'credentials'), 'utf8')).toMatch(/^\[default\]\naws_access/u);
    expect(await program.stop()).toMatchObject({ code: 0 });
  });

  test('takes no profile that would write something else', async () => {
    const { flags, env } = await setup();

    const { code } = await gatehouse(['update', ...flags, '--once', '--profile', 'a]\n[b'], { env });

    expect(code).toBe(64);
  });
});
