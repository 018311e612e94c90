import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { gatehouse } from '../support/agent.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const id = '0f9f4d1c-5a9a-4b5e-9d0e-2f6f0c9f8a11';

/** The example of the published interfaces, less the keys that do not exist yet. */
const bootstrap = {
  $schema: './config.schema.json',
  name: 'web-1',
  region: 'eu-west-1',
  gatewayConfig: {
    secretName: 'prod/gatehouse/web',
    versionStage: 'AWSCURRENT',
    refreshCron: '*/5 * * * *',
  },
  credentials: {
    source: 'auto',
    rolesAnywhere: {
      trustAnchorArn: `arn:aws:rolesanywhere:eu-west-1:123456789012:trust-anchor/${id}`,
      profileArn: `arn:aws:rolesanywhere:eu-west-1:123456789012:profile/${id}`,
      roleArn: 'arn:aws:iam::123456789012:role/GatehouseHost',
      certificate: '/etc/gatehouse/identity/certificate.pem',
      privateKey: '/etc/gatehouse/identity/private-key.pem',
      intermediates: '/etc/gatehouse/identity/intermediates.pem',
      sessionDurationSeconds: 3600,
      helper: '/usr/local/bin/aws_signing_helper',
    },
    expectAccountId: '123456789012',
    expectRoleName: 'GatehouseHost',
  },
  allow: { deliverTo: ['/run/gatehouse'], readFrom: ['/var/log'] },
  stateDirectory: '/var/lib/gatehouse',
  runtimeDirectory: '/run/gatehouse',
  stopTimeoutSeconds: 20,
  logLevel: 'info',
};

const gateway = {
  version: 1,
  keys: { bindingKey: 'alias/gatehouse-binding', registryTable: 'gatehouse-keys' },
  secrets: {
    'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
    'tls-key': { sealedFile: '/etc/gatehouse/sealed/tls-key.sealed' },
  },
  deliveries: [
    {
      secret: 'database-password',
      file: '/run/gatehouse/secrets/database-password',
      owner: 'app',
      group: 'app',
      mode: '0400',
    },
  ],
  events: {
    logGroup: '/gatehouse/{name}',
    logStream: '{source}',
    createLogGroup: true,
    retentionDays: 30,
    spool: { bytesMax: 1_073_741_824, whenFull: 'pause' },
    sources: { app: { files: ['/var/log/app/*.log'] }, agent: { audit: true } },
  },
};

/** Keys that are published for later and must be refused until then: validity would promise what is not there. */
const laterInBootstrap = [
  ['allow.commands', { ...bootstrap, allow: { commands: { reload: ['systemctl', 'reload', 'nginx'] } } }],
] as const;
function setup() {
  const directory = temporaryDirectory();
  return {
    directory,
    file: (content: unknown, name = 'config.json'): string => {
      const path = join(directory, name);
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    },
  };
}

async function schemaOf(kind: string): Promise<z.ZodType> {
  const { stdout } = await gatehouse(['config', 'schema', kind]);
  return z.fromJSONSchema(JSON.parse(stdout) as Parameters<typeof z.fromJSONSchema>[0]);
}

/** A line of a table with these cells. */
function row(...cells: string[]): unknown {
  return expect.stringMatching(new RegExp(`^${cells.join(' +')}$`, 'u'));
}

describe('config validate', () => {
  test.each([
    ['bootstrap', bootstrap, 0, 'valid bootstrap config: -\n'],
    ['gateway', gateway, 0, 'valid gateway config: -\n'],
    ['bootstrap', { region: 5 }, 78, ''],
    ['gateway', { ...gateway, version: 2 }, 78, ''],
  ])('reads standard input for -: a %s config', async (_kind, content, code, stdout) => {
    const { file } = setup();
    const args = ['config', 'validate', '-', '--config', file({})];

    expect(await gatehouse(args, { stdin: JSON.stringify(content) })).toMatchObject({ code, stdout });
  });

  test('tells a bootstrap config by its keys', async () => {
    const path = setup().file(bootstrap);

    expect(await gatehouse(['config', 'validate', path])).toEqual({
      code: 0,
      stdout: `valid bootstrap config: ${path}\n`,
      stderr: '',
    });
  });

  test.each([
    ['plain JSON', JSON.stringify(gateway)],
    ['base64', Buffer.from(JSON.stringify(gateway)).toString('base64')],
  ])('tells a gateway config by its keys, in %s', async (_form, text) => {
    const path = setup().file(text);

    const { code, stdout } = await gatehouse(['config', 'validate', '--json', path]);

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ kind: 'gateway', file: path });
  });

  test('says every problem on a line of its own, with its path', async () => {
    const path = setup().file({ region: 5, nmae: 'web-1', allow: { readFrom: 'everything' } });

    const { code, stdout, stderr } = await gatehouse(['config', 'validate', path]);

    const lines = stderr.split('\n');
    expect(lines[0]).toBe('error: the bootstrap config is not valid (CONFIG_INVALID)');
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}region: .*\(file .*config\.json\)$/u));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}nmae: unknown key/u));
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}allow\.readFrom: /u));
    expect(lines.at(-2)).toMatch(/^hint: /u);
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
  });

  test('holds a gateway config against the limits of this host', async () => {
    const { file } = setup();
    const host = file({ allow: { readFrom: ['/srv/log'] } }, 'host.json');
    const path = file(gateway, 'gateway.json');

    const { code, stderr } = await gatehouse(['config', 'validate', path, '--config', host]);

    expect(stderr).toContain('  events.sources.app.files[0]: must be below one of allow.readFrom');
    expect(code).toBe(78);
  });

  test.each(laterInBootstrap)('refuses %s, which is not built', async (path, config) => {
    const { code, stderr } = await gatehouse(['config', 'validate', setup().file(config)]);

    expect(stderr).toContain(`  ${path}: unknown key`);
    expect(code).toBe(78);
  });

  test('damaged JSON is located by line and column, and not quoted', async () => {
    const path = setup().file('{\n  "region": "eu-west-1",\n  "name": hunter2 }');

    const { code, stderr } = await gatehouse(['config', 'validate', path]);

    expect(stderr).toContain(`file ${path}; line 3; column 11; fault syntax (CONFIG_NOT_JSON)`);
    expect(stderr).not.toContain('hunter2');
    expect(code).toBe(78);
  });

  test('a cut and an empty file end early', async () => {
    const { file } = setup();

    for (const text of ['', '{"region": "eu-we', '{"version": 1, "secrets"']) {
      const { code, stderr } = await gatehouse(['config', 'validate', file(text)]);
      expect(stderr).toContain('fault ends-early');
      expect(code).toBe(78);
    }
  });

  test('a file that is not there, and a directory, are missing input', async () => {
    const { directory } = setup();
    mkdirSync(join(directory, 'folder'));

    for (const [name, cause] of [
      ['absent', 'ENOENT'],
      ['folder', 'EISDIR'],
    ] as const) {
      const path = join(directory, name);
      const { code, stdout, stderr } = await gatehouse(['config', 'validate', path]);
      expect(stderr).toContain(
        `error: the input file cannot be read: file ${path}; cause ${cause} (INPUT_MISSING)`,
      );
      expect({ code, stdout }).toEqual({ code: 66, stdout: '' });
    }
  });

  test('a file that others may change is refused, with the command that mends it', async () => {
    const { directory } = setup();
    const path = join(directory, 'config.json');
    writeFileSync(path, '{}');
    chmodSync(path, 0o666);

    const { code, stderr } = await gatehouse(['config', 'validate', path]);

    expect(stderr).toContain(`run chmod go-w ${path} (CONFIG_FILE_UNSAFE)`);
    expect(code).toBe(78);
  });

  test('without a file it is about what run would use', async () => {
    const path = setup().file({ region: 'eu-west-1', gatewayConfig: { secretName: 'prod/gatehouse/web' } });

    const { stdout } = await gatehouse(['config', 'validate', '--config', path]);
    const wrong = await gatehouse(['config', 'validate'], {
      env: { GATEHOUSE_CONFIG: path, GATEHOUSE_STOP_TIMEOUT_SECONDS: 'soon' },
    });

    expect(stdout).toBe(`valid bootstrap config: ${path}\n`);
    expect(wrong.stderr).toContain('stopTimeoutSeconds');
    expect(wrong.stderr).toContain('(environment GATEHOUSE_STOP_TIMEOUT_SECONDS)');
    expect(wrong.code).toBe(78);
  });

  test.each([
    ['CONFIG_SECRET_NAME_MISSING', { region: 'eu-west-1' }],
    ['CONFIG_REGION_MISSING', { gatewayConfig: { secretName: 'prod/gatehouse/web' } }],
  ])('without a file it says %s, as run would', async (missing, content) => {
    const { code, stderr } = await gatehouse(['config', 'validate', '--config', setup().file(content)]);

    expect(stderr).toContain(`(${missing})`);
    expect(code).toBe(78);
  });

  test.each([
    ['with a byte order mark', `\uFEFF${JSON.stringify(gateway)}`, 0, ''],
    ['that breaks off', '{"version": 1, "secrets"', 78, 'fault ends-early; encoding plain; file '],
    ['with a comma too many', '{"version": 1,}', 78, 'fault syntax; encoding plain; file '],
    ['that has a key wrong', '{"version": 1, "secrts": {}}', 78, 'did you mean "secrets"? (file '],
  ])('knows a gateway config %s, and says which file it is', async (_kind, text, code, said) => {
    const path = setup().file(text);

    const outcome = await gatehouse(['config', 'validate', path]);

    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toBe(code === 0 ? `valid gateway config: ${path}\n` : '');
    expect(outcome.stderr).toContain(said === '' ? '' : `${said}${path}`);
  });
});

describe('config show', () => {
  test.each(['show', 'validate'])('%s says which variable is mistyped, beside the data', async (word) => {
    const path = setup().file({ region: 'eu-west-1', gatewayConfig: { secretName: 'of-the-file' } });
    const env = { GATEHOUSE_CONFIG: path, GATEHOUSE_REGOIN: 'eu-west-2' };

    const { code, stdout, stderr } = await gatehouse(['config', word, '--json'], { env });

    expect(stderr).toBe(
      'warning: the environment variable GATEHOUSE_REGOIN looks like one of ours and means nothing\n',
    );
    expect(JSON.parse(stdout)).toBeTruthy();
    expect(code).toBe(0);
  });

  test('says where each value came from', async () => {
    const path = setup().file({ region: 'eu-west-1', gatewayConfig: { secretName: 'of-the-file' } });

    const { code, stdout } = await gatehouse(['config', 'show', '--config', path, '--log-level', 'debug'], {
      env: { GATEHOUSE_NAME: 'web-1' },
    });

    const rows = stdout.trimEnd().split('\n');
    expect(rows[0]).toMatch(/^KEY +VALUE +FROM$/u);
    expect(rows).toContainEqual(row('name', '"web-1"', 'environment GATEHOUSE_NAME'));
    expect(rows).toContainEqual(row('region', '"eu-west-1"', `file ${path}`));
    expect(rows).toContainEqual(row('gatewayConfig\\.secretName', '"of-the-file"', `file ${path}`));
    expect(rows).toContainEqual(row('logLevel', '"debug"', 'flag --log-level'));
    expect(rows).toContainEqual(row('stopTimeoutSeconds', '20', 'default'));
    expect(code).toBe(0);
  });

  /** Environment beside a file that names the secret `of-the-file`, and the name that counts. */
  const names = [
    [{}, 'of-the-file', 'file '],
    [{ AWS_KMS_SECRET_NAME: 'keeper' }, 'keeper', 'environment AWS_KMS_SECRET_NAME'],
    [
      { AWS_KMS_SECRET_NAME: 'keeper', GATEHOUSE_SECRET_NAME: 'ours' },
      'ours',
      'environment GATEHOUSE_SECRET_NAME',
    ],
  ] as const;

  test.each(names)('with %j the secret name is %s', async (env, value, origin) => {
    const path = setup().file({ gatewayConfig: { secretName: 'of-the-file' } });

    const { stdout } = await gatehouse(['config', 'show', '--json', '--config', path], { env });

    const rows = JSON.parse(stdout) as unknown[];
    expect(rows).toContainEqual({
      path: 'gatewayConfig.secretName',
      value,
      origin: expect.stringContaining(origin),
    });
  });
});

describe('config schema', () => {
  test('the schema of the bootstrap config accepts the published example, and no key of later', async () => {
    const schema = await schemaOf('bootstrap');

    expect(schema.safeParse(bootstrap).error).toBeUndefined();
    expect(schema.safeParse({}).success).toBe(true);
    for (const [, config] of laterInBootstrap) expect(schema.safeParse(config).success).toBe(false);
    expect(schema.safeParse({ ...bootstrap, region: 5 }).success).toBe(false);
  });

  test('the schema of the gateway config accepts the published example, and no key that is not of it', async () => {
    const schema = await schemaOf('gateway');

    expect(schema.safeParse(gateway).error).toBeUndefined();
    expect(schema.safeParse({ ...gateway, later: {} }).success).toBe(false);
    expect(schema.safeParse({ ...gateway, version: 2 }).success).toBe(false);
    expect(schema.safeParse({ secrets: {} }).success).toBe(false);
  });
});
