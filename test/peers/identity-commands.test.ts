import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { startSandbox } from '../contract/sandbox-target.ts';
import { eventually } from '../support/host.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { startMoto } from './support/moto.ts';
import { arePeersMissing, peerProgram } from './support/peer.ts';

const page = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');

/** Asks for something that needs a permission, with the credentials in a file. */
const listKeysBy = (file: string): string => `(
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
printf '[profile kept]\\ncredential_process = cat ${file}\\n' >kept
AWS_CONFIG_FILE=kept aws kms list-keys --profile kept --query Keys
)`;

const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/gu)].map(([, block = '']) => block);

it.skipIf(arePeersMissing('aws', 'moto'))(
  'the policy that ends sessions is put on the role, as written',
  async () => {
    const moto = await startMoto();
    const [, , policy = ''] = blocks;
    const script = `set -e
aws iam create-role --role-name GatehouseHybrid --assume-role-policy-document '{}' >/dev/null
${policy}
aws iam get-role-policy --role-name GatehouseHybrid --policy-name sessions-before --query PolicyDocument`;

    const { code, stdout, stderr } = await shell(script, {
      env: {
        PATH: [dirname(peerProgram('aws')), '/usr/bin', '/bin'].join(delimiter),
        AWS_ENDPOINT_URL: moto.endpoint,
        AWS_DEFAULT_REGION: moto.region,
        AWS_ACCESS_KEY_ID: moto.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: moto.credentials.secretAccessKey,
        AWS_PAGER: '',
      },
    });
    await moto.close();

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      Statement: [
        {
          Effect: 'Deny',
          Action: '*',
          Condition: { DateLessThan: { 'aws:TokenIssueTime': expect.stringMatching(/^\d{4}-.*T.*Z$/u) } },
        },
      ],
    });
  },
);

it.skipIf(arePeersMissing('aws'))(
  'a session that lives is ended by that policy, as written, and the next one goes on',
  async () => {
    const sandbox = createSandbox();
    const { url, close } = await sandbox.listen({ port: 0 });
    const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('admin');
    const folder = temporaryDirectory();
    const [commands = '', , policy = ''] = blocks;
    const run = (script: string) =>
      shell(`set -e\n${script}`, {
        cwd: folder,
        env: {
          PATH: [dirname(peerProgram('aws')), '/usr/bin', '/bin'].join(delimiter),
          HOME: folder,
          AWS_ENDPOINT_URL: url,
          AWS_REGION: sandbox.region,
          AWS_DEFAULT_REGION: sandbox.region,
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
          AWS_CONFIG_FILE: join(folder, 'config'),
          AWS_PAGER: '',
          READER: JSON.stringify({
            Version: '2012-10-17',
            Statement: [{ Effect: 'Allow', Action: 'kms:ListKeys', Resource: '*' }],
          }),
        },
      });
    const session = (file: string): string =>
      `$(sed -n 's/^credential_process = //p' config) >${file}\n${listKeysBy(file)}`;

    const before = await run(`${commands}
aws iam put-role-policy --role-name GatehouseHybrid --policy-name reader --policy-document "$READER"
${session('first.json')}`);
    // The policy's time is the second it is written in, and the session is of an earlier one.
    const sessionSeconds = Math.floor(Date.now() / 1000);
    await eventually('the next second', () => Math.floor(Date.now() / 1000) > sessionSeconds);
    const revoked = await run(`${policy}\n${listKeysBy('first.json')}`);
    const after = await run(session('second.json'));
    await close();

    expect({ code: before.code, stderr: before.code === 0 ? '' : before.stderr }).toEqual({
      code: 0,
      stderr: '',
    });
    expect(revoked.code).not.toBe(0);
    expect(revoked.stderr).toContain('with an explicit deny in an identity-based policy');
    expect(after).toMatchObject({ code: 0, stderr: '', stdout: '[]\n' });
  },
);

it.skipIf(arePeersMissing('aws'))(
  'the commands of docs/identity.md do what they say, as written',
  async () => {
    const target = await startSandbox();
    const folder = temporaryDirectory();
    const [commands = '', revocation = ''] = blocks;
    const { accessKeyId, secretAccessKey } = target.credentials;
    writeFileSync(join(folder, 'config'), '', { mode: 0o600 });

    const again = 'env -u AWS_ACCESS_KEY_ID aws sts get-caller-identity --profile hybrid';
    const { code, stdout, stderr } = await shell(
      `set -e\n${commands}\n${revocation}\n${again} >again.out 2>again.err || true`,
      {
        cwd: folder,
        env: {
          PATH: [dirname(peerProgram('aws')), '/usr/bin', '/bin'].join(delimiter),
          HOME: folder,
          AWS_ENDPOINT_URL: target.endpoint,
          AWS_REGION: target.region,
          AWS_DEFAULT_REGION: target.region,
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
          AWS_CONFIG_FILE: join(folder, 'config'),
          AWS_PAGER: '',
        },
      },
    );
    await target.close();

    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(commands.match(/^# \d+\./gmu)).toHaveLength(10);
    expect(revocation.match(/^# \d+\./gmu)).toHaveLength(3);
    expect(readFileSync(join(folder, 'again.out'), 'utf8')).toBe('');
    expect(readFileSync(join(folder, 'again.err'), 'utf8')).toContain('ROLES_ANYWHERE_CERTIFICATE_REFUSED');
    const [, identity = ''] = /\n(\{\s+"UserId"[\s\S]*?\n\})/u.exec(stdout) ?? [];
    expect(JSON.parse(identity)).toMatchObject({
      Account: '123456789012',
      Arn: expect.stringMatching(
        /^arn:aws:sts::123456789012:assumed-role\/GatehouseHybrid\/[0-9a-f]{38,40}$/u,
      ),
    });
  },
);
