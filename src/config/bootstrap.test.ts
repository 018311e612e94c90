import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { GatehouseError } from '../base/errors.ts';
import { type BootstrapInputs, loadBootstrap, requireRegion, requireSecretName } from './bootstrap.ts';
import { bootstrapConfig } from './config.ts';
import { effective } from './effective.ts';

const schema = z.strictObject({
  ...bootstrapConfig,
  credentials: z
    .strictObject({
      source: z.enum(['auto', 'container']).default('auto'),
      rolesAnywhere: z
        .strictObject({ roleArn: z.string(), sessionDurationSeconds: z.int().optional() })
        .optional(),
      isPinned: z.boolean().default(false),
      ports: z.array(z.int()).default([]),
    })
    .prefault({}),
});

/** Runs with a file of this content (none when undefined), environment and flags. */
function setup(given: { content?: unknown } & Partial<BootstrapInputs> = {}) {
  const file = join(temporaryDirectory(), 'config.json');
  const { content, ...inputs } = given;
  if (content !== undefined) {
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
  }
  const load = () =>
    loadBootstrap(schema, {
      flags: {},
      env: {},
      uid: process.getuid?.() ?? 0,
      hostname: 'host-7',
      defaultFile: file,
      ...inputs,
    });
  return { file, load };
}

function failure(work: () => unknown): GatehouseError {
  try {
    work();
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

/** The details of the typed error that `work` ends in; empty when it succeeds. */
function problemsText(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    if (error instanceof GatehouseError) return JSON.stringify(error.details);
    throw error;
  }
}

describe('loading a bootstrap config', () => {
  it('needs nothing: what is not given has a default', () => {
    const { load } = setup();

    const { config, file, origins, unknownVariables } = load();

    expect(file).toBeUndefined();
    expect(unknownVariables).toEqual([]);
    expect([...origins.keys()]).toEqual(['name', 'allow.deliverTo']);
    expect(config).toEqual({
      name: 'host-7',
      gatewayConfig: {
        versionStage: 'AWSCURRENT',
        refreshCron: '*/5 * * * *',
        lastKnownGood: { enabled: true, keys: [] },
      },
      credentials: { source: 'auto', isPinned: false, ports: [] },
      allow: {
        deliverTo: ['/run/gatehouse'],
        readFrom: ['/var/log'],
        consumerRoles: [],
        assumeRoles: [],
        consumerHostRole: false,
        listenPorts: [],
      },
      stateDirectory: '/var/lib/gatehouse',
      runtimeDirectory: '/run/gatehouse',
      stopTimeoutSeconds: 20,
      logLevel: 'info',
    });
  });

  it.each([
    { given: ['flag', 'GATEHOUSE_SECRET_NAME', 'AWS_KMS_SECRET_NAME', 'file'], origin: 'flag --secret-name' },
    {
      given: ['GATEHOUSE_SECRET_NAME', 'AWS_KMS_SECRET_NAME', 'file'],
      origin: 'environment GATEHOUSE_SECRET_NAME',
    },
    { given: ['AWS_KMS_SECRET_NAME', 'file'], origin: 'environment AWS_KMS_SECRET_NAME' },
    { given: ['file'], origin: 'file' },
  ])('of $given, the secret name of the first counts', ({ given, origin }) => {
    const { file, load } = setup({
      ...(given.includes('file') ? { content: { gatewayConfig: { secretName: 'from/file' } } } : {}),
      env: Object.fromEntries(
        given.filter((name) => name.includes('_')).map((name) => [name, `from/${name}`]),
      ),
      flags: { 'secret-name': given.includes('flag') ? 'from/flag' : undefined },
    });

    const { config, origins } = load();

    expect(requireSecretName(config)).toBe(`from/${given[0]}`);
    expect(origins.get('gatewayConfig.secretName')).toBe(origin === 'file' ? `file ${file}` : origin);
  });

  it.each([
    [{ GATEHOUSE_REGION: 'eu-west-3', AWS_REGION: 'eu-west-1' }, 'eu-west-2', 'eu-west-3'],
    [{ AWS_REGION: 'eu-west-1' }, 'eu-west-2', 'eu-west-2'],
    [{ AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'us-east-1' }, undefined, 'eu-west-1'],
    [{ AWS_REGION: '', AWS_DEFAULT_REGION: 'us-east-1' }, undefined, 'us-east-1'],
  ])('the region of environment %j and file %j is %s', (env, region, expected) => {
    const { load } = setup({ env, content: { region } });

    expect(requireRegion(load().config)).toBe(expected);
  });

  it("systemd's directories are defaults, and deliveries go to the runtime directory", () => {
    const env = { STATE_DIRECTORY: '/var/lib/one:/var/lib/two', RUNTIME_DIRECTORY: '/run/one' };
    const { file, load } = setup({ env, content: { runtimeDirectory: '/run/own' } });

    const { config, origins } = load();

    expect(config).toMatchObject({
      stateDirectory: '/var/lib/one',
      runtimeDirectory: '/run/own',
      allow: { deliverTo: ['/run/own'] },
    });
    expect(origins.get('stateDirectory')).toBe('environment STATE_DIRECTORY');
    expect(origins.get('runtimeDirectory')).toBe(`file ${file}`);
  });

  it('every key has a variable, and its text becomes the type of the key', () => {
    const { load } = setup({
      content: { credentials: { rolesAnywhere: { roleArn: 'file' } }, stopTimeoutSeconds: 5 },
      env: {
        GATEHOUSE_NAME: 'web-1',
        GATEHOUSE_GATEWAY_CONFIG_REFRESH_CRON: '0 3 * * *',
        GATEHOUSE_CREDENTIALS_SOURCE: 'container',
        GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_SESSION_DURATION_SECONDS: '900',
        GATEHOUSE_CREDENTIALS_IS_PINNED: 'true',
        GATEHOUSE_CREDENTIALS_PORTS: '1, 2,',
        GATEHOUSE_ALLOW_READ_FROM: '["/srv/a,b","/var/log"]',
        GATEHOUSE_STOP_TIMEOUT_SECONDS: '',
        GATEHOUSE_LOG_LEVEL: 'warn',
      },
    });

    expect(load().config).toMatchObject({
      name: 'web-1',
      gatewayConfig: { refreshCron: '0 3 * * *' },
      credentials: {
        source: 'container',
        rolesAnywhere: { roleArn: 'file', sessionDurationSeconds: 900 },
        isPinned: true,
        ports: [1, 2],
      },
      allow: { readFrom: ['/srv/a,b', '/var/log'] },
      stopTimeoutSeconds: 5,
      logLevel: 'warn',
    });
  });

  it('says which variables mean nothing, and takes no offence', () => {
    const env = {
      GATEHOUSE_SERVICE_HOST: '10.0.0.1',
      GATEHOUSE_SECRETNAME: 'x',
      GATEHOUSE_CONFIG: '',
      HOME: '/',
    };

    expect(setup({ env }).load().unknownVariables).toEqual([
      'GATEHOUSE_SECRETNAME',
      'GATEHOUSE_SERVICE_HOST',
    ]);
  });

  it('ignores $schema', () => {
    const { load } = setup({ content: { $schema: './config.schema.json' } });

    expect(load().config).not.toHaveProperty('$schema');
  });

  it('tells every problem at once, with path and source', () => {
    const { file, load } = setup({
      content: {
        regoin: 'eu-west-1',
        gatewayConfig: { refreshCron: 'canary-cron' },
        credentials: { rolesAnywhere: {} },
        allow: { readFrom: ['/var/log', 'canary-relative'], commands: {} },
        stateDirectory: 7,
        ['canary key \u0000']: 1,
      },
      env: {
        GATEHOUSE_STOP_TIMEOUT_SECONDS: 'canary-number',
        GATEHOUSE_CREDENTIALS_PORTS: '1,canary',
        GATEHOUSE_CREDENTIALS_IS_PINNED: 'canary',
        GATEHOUSE_ALLOW_DELIVER_TO: '/run/gatehouse/',
        AWS_REGION: 'canary-region',
      },
      flags: { 'log-level': 'canary-level' },
    });
    const source = `file ${file}`;

    const { code, row, details } = failure(load);

    expect({ code, exitCode: row.exitCode }).toEqual({ code: 'CONFIG_INVALID', exitCode: 78 });
    const problems = Array.isArray(details['problems']) ? details['problems'] : [];
    const folder = 'expected an absolute path below /, without ".", ".." or a slash at its end';
    expect(new Set(problems)).toEqual(
      new Set([
        {
          path: 'stopTimeoutSeconds',
          message: 'expected a number',
          source: 'environment GATEHOUSE_STOP_TIMEOUT_SECONDS',
        },
        {
          path: 'credentials.ports',
          message: 'expected a number in each place of the list',
          source: 'environment GATEHOUSE_CREDENTIALS_PORTS',
        },
        {
          path: 'credentials.isPinned',
          message: 'expected true or false',
          source: 'environment GATEHOUSE_CREDENTIALS_IS_PINNED',
        },
        { path: 'regoin', message: 'unknown key; did you mean "region"?', source },
        { path: '["canary key ?"]', message: 'unknown key', source },
        {
          path: 'region',
          message: 'expected an AWS region such as eu-west-1',
          source: 'environment AWS_REGION',
        },
        {
          path: 'gatewayConfig.refreshCron',
          message:
            'expected a cron expression of five fields: minute, hour, day of month, month, day of week',
          source,
        },
        { path: 'credentials.rolesAnywhere.roleArn', message: 'is missing' },
        { path: 'allow.readFrom[1]', message: folder, source },
        { path: 'allow.deliverTo[0]', message: folder, source: 'environment GATEHOUSE_ALLOW_DELIVER_TO' },
        { path: 'allow.commands', message: 'unknown key', source },
        { path: 'stateDirectory', message: 'expected a string, not a number', source },
        {
          path: 'logLevel',
          message: 'expected "debug" or "info" or "warn" or "error"',
          source: 'flag --log-level',
        },
      ]),
    );
  });

  it.each(['/run/a\n/b', '/run/a\u001b', '/run/a\u0000'])(
    'takes no path that hides what it is: %j',
    (path) => {
      const { load } = setup({ content: { runtimeDirectory: path, allow: { deliverTo: [path] } } });

      expect(failure(load).details['problems']).toMatchObject([
        { path: 'allow.deliverTo[0]' },
        { path: 'runtimeDirectory' },
      ]);
    },
  );

  it.each([{ file: '/nowhere/config.json' }, { env: { GATEHOUSE_CONFIG: '/nowhere/config.json' } }])(
    'a file that is named must exist: %j',
    (inputs) => {
      const { code, row, details } = failure(setup(inputs).load);

      expect({ code, exitCode: row.exitCode }).toEqual({ code: 'CONFIG_FILE_MISSING', exitCode: 78 });
      expect(details).toMatchObject({ file: '/nowhere/config.json' });
    },
  );

  it('the file of --config counts more than that of GATEHOUSE_CONFIG', () => {
    const { file } = setup({ content: { name: 'right' } });

    const { load } = setup({ file, env: { GATEHOUSE_CONFIG: '/nowhere/config.json' } });

    expect(load()).toMatchObject({ file, config: { name: 'right' } });
  });

  it.each(['[]', 'null', '3'])('a file that holds %s is no config', (content) => {
    const { file, load } = setup({ content: content });

    const { problems } = failure(load).details;

    expect(problems).toEqual([{ path: '', message: 'expected an object', source: `file ${file}` }]);
  });

  it('something else in the place of an object is a problem, also when the environment sets a key of it', () => {
    const { file, load } = setup({
      content: { gatewayConfig: 'canary' },
      env: { GATEHOUSE_SECRET_NAME: 'a' },
    });

    const { problems } = failure(load).details;

    expect(problems).toEqual([
      { path: 'gatewayConfig', message: 'expected an object, not a string', source: `file ${file}` },
    ]);
  });

  it('any JSON in the file and any text in the environment end in a config or in a typed error without a value', () => {
    const canary = 'canary-Zq8x1';
    const values = fc.constantFrom<unknown>(
      canary,
      `${canary}, 2`,
      [canary],
      { source: canary },
      null,
      1,
      {},
      [],
    );
    const key = fc.constantFrom(
      'name',
      'region',
      'gatewayConfig',
      'credentials',
      'allow',
      'logLevel',
      '__proto__',
    );
    const inner = fc.constantFrom(
      'secretName',
      'refreshCron',
      'source',
      'readFrom',
      'rolesAnywhere',
      '__proto__',
    );
    const content = fc.dictionary(key, fc.oneof(values, fc.dictionary(inner, values), fc.jsonValue()));
    const variable = fc.constantFrom(
      'NAME',
      'STOP_TIMEOUT_SECONDS',
      'ALLOW_READ_FROM',
      'CREDENTIALS_IS_PINNED',
    );
    const env = fc.dictionary(
      variable.map((name) => `GATEHOUSE_${name}`),
      fc.constantFrom(`{${canary}`, `[${canary}`, `${canary}!`),
    );
    const { file, load } = setup({ content: {} });

    fc.assert(
      fc.property(content, env, (document, variables) => {
        writeFileSync(file, JSON.stringify(document));
        const inputs = {
          flags: {},
          env: variables,
          uid: process.getuid?.() ?? 0,
          hostname: 'h',
          defaultFile: file,
        };

        const said = problemsText(load) + problemsText(() => loadBootstrap(schema, inputs));

        expect(said).not.toContain(canary);
      }),
      { numRuns: 200 },
    );
  });
});

describe('what a command cannot do without', () => {
  it('a secret name: the remedy names the three ways to give it', () => {
    const { config } = setup().load();

    const { row } = failure(() => requireSecretName(config));

    expect(row.exitCode).toBe(78);
    for (const way of [
      '--secret-name',
      '--aws-kms-secret-name',
      'GATEHOUSE_SECRET_NAME',
      'AWS_KMS_SECRET_NAME',
      'gatewayConfig.secretName',
    ]) {
      expect(row.remedy).toContain(way);
    }
  });

  it('a region: the remedy names its key and its variables', () => {
    const { config } = setup().load();

    const { row, details } = failure(() => requireRegion(config));

    expect(row).toMatchObject({
      exitCode: 78,
      remedy: expect.stringContaining('GATEHOUSE_REGION or AWS_REGION'),
    });
    expect(details).toEqual({ path: 'region' });
  });
});

describe('the effective config', () => {
  it('tells of every value where it came from', () => {
    const { load } = setup({
      flags: { 'log-level': 'debug' },
      env: { GATEHOUSE_ALLOW_READ_FROM: '/srv/log' },
    });
    const { config, origins } = load();

    const rows = effective(config, origins);

    expect(rows).toContainEqual({ path: 'logLevel', value: 'debug', origin: 'flag --log-level' });
    expect(rows).toContainEqual({ path: 'name', value: 'host-7', origin: 'host name' });
    expect(rows).toContainEqual({ path: 'stopTimeoutSeconds', value: 20, origin: 'default' });
    expect(rows).toContainEqual({
      path: 'allow.readFrom',
      value: ['/srv/log'],
      origin: 'environment GATEHOUSE_ALLOW_READ_FROM',
    });
  });
});
