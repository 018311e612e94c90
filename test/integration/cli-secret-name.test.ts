import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { setup } from '../support/host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('without a secret name anywhere', () => {
  test.each(['run', 'start'])('%s refuses to start and names the three ways', async (command) => {
    const { code, stdout, stderr } = await gatehouse([command], { env: { AWS_REGION: 'eu-west-1' } });

    expect(stderr.split('\n')[0]).toBe(
      'error: nothing says which secret holds the gateway config (CONFIG_SECRET_NAME_MISSING)',
    );
    for (const way of [
      '--secret-name',
      '--aws-kms-secret-name',
      'GATEHOUSE_SECRET_NAME',
      'AWS_KMS_SECRET_NAME',
      'gatewayConfig.secretName',
    ]) {
      expect(stderr.split('\n')[1]).toContain(way);
    }
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
  });

  test('programs are told by code', async () => {
    const { code, stderr } = await gatehouse(['run', '--json'], { env: { AWS_REGION: 'eu-west-1' } });

    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'CONFIG_SECRET_NAME_MISSING' } });
    expect(code).toBe(78);
  });

  test('a name that is empty is none', async () => {
    const env = { AWS_REGION: 'eu-west-1', GATEHOUSE_SECRET_NAME: '', AWS_KMS_SECRET_NAME: '' };

    expect(await gatehouse(['run'], { env })).toMatchObject({ code: 78 });
  });
});

/** What is given, and the name that is asked of Secrets Manager, where there is no such secret. */
const ways: readonly (readonly [what: string, args: string[], env: Record<string, string>, asked: string])[] =
  [
    ['the file', ['run'], {}, 'of-the-file'],
    ['AWS_KMS_SECRET_NAME over the file', ['run'], { AWS_KMS_SECRET_NAME: 'keeper' }, 'keeper'],
    [
      'GATEHOUSE_SECRET_NAME over AWS_KMS_SECRET_NAME',
      ['run'],
      { AWS_KMS_SECRET_NAME: 'keeper', GATEHOUSE_SECRET_NAME: 'ours' },
      'ours',
    ],
    [
      '--secret-name over the environment',
      ['run', '--secret-name', 'flag'],
      { GATEHOUSE_SECRET_NAME: 'ours' },
      'flag',
    ],
    ['--aws-kms-secret-name', ['start', '--aws-kms-secret-name', 'keeper-flag'], {}, 'keeper-flag'],
  ];

test.each(ways)('run asks for the secret that comes from %s', async (_what, args, env, asked) => {
  const host = await setup();
  const file = join(temporaryDirectory(), 'config.json');
  const { stateDirectory, runtimeDirectory } = host;
  const bootstrap = { gatewayConfig: { secretName: 'of-the-file' }, stateDirectory, runtimeDirectory };
  writeFileSync(file, JSON.stringify({ ...bootstrap, region: host.sandbox.region }), { mode: 0o600 });

  const { code, stdout, stderr } = await gatehouse([...args, '--config', file], {
    env: { ...host.env, ...env },
  });

  expect(stderr).toContain('error: Secrets Manager has no such secret: ');
  expect(stderr).toContain(`secretId ${asked}`);
  expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
});
