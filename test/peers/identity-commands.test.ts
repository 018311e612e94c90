import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { startSandbox } from '../contract/sandbox-target.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { arePeersMissing, peerProgram } from './support/peer.ts';

const page = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');

it.skipIf(arePeersMissing('aws'))(
  'the commands of docs/identity.md do what they say, as written',
  async () => {
    const target = await startSandbox();
    const folder = temporaryDirectory();
    const [, commands = ''] = /```sh\n([\s\S]*?)```/u.exec(page) ?? [];
    const { accessKeyId, secretAccessKey } = target.credentials;
    writeFileSync(join(folder, 'config'), '', { mode: 0o600 });

    const { code, stdout, stderr } = await shell(`set -e\n${commands}`, {
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
    });
    await target.close();

    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(commands.match(/^# \d+\./gmu)).toHaveLength(10);
    const [, identity = ''] = /\n(\{\s+"UserId"[\s\S]*)$/u.exec(stdout) ?? [];
    expect(JSON.parse(identity)).toMatchObject({
      Account: '123456789012',
      Arn: expect.stringMatching(
        /^arn:aws:sts::123456789012:assumed-role\/GatehouseHybrid\/[0-9a-f]{38,40}$/u,
      ),
    });
  },
);
