import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { systemClock } from '../base/clock.ts';
import { configSchema, showConfig, validateConfig } from './config-report.ts';
import type { Launch } from './launch.ts';

function setup(env: Record<string, string> = {}) {
  const directory = temporaryDirectory();
  const file = (text: string, name = 'config.json'): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const launch = (config: string): Launch => ({
    flags: { config },
    env,
    clock: systemClock,
    version: '0.0.0',
    logForm: 'json',
    writeLog: () => undefined,
  });
  return { file, launch };
}

const gateway = '{"version": 1}';

describe('a config file', () => {
  test.each([
    ['bootstrap', '{}'],
    ['bootstrap', '{"region": "eu-west-1"}'],
    ['gateway', gateway],
    ['gateway', Buffer.from(gateway).toString('base64')],
    ['gateway', `${Buffer.from(gateway).toString('base64')}\n`],
  ])('is told to be a %s config by its keys: %s', async (kind, text) => {
    const { file, launch } = setup();
    const path = file(text, 'checked.json');

    expect(await validateConfig(launch(file('{}')), path)).toEqual({ kind, file: path });
  });

  test.each([
    ['CONFIG_INVALID', '{"region": 5}'],
    ['CONFIG_INVALID', '[]'],
    ['CONFIG_NOT_JSON', '{"region"'],
    ['CONFIG_NOT_JSON', ''],
    ['GATEWAY_CONFIG_INVALID', '{"deliveries": []}'],
    ['GATEWAY_CONFIG_VERSION_UNKNOWN', '{"version": 2}'],
  ])('that is not valid is %s: %s', async (code, text) => {
    const { file, launch } = setup();

    await expect(validateConfig(launch(file('{}')), file(text, 'checked.json'))).rejects.toThrow(
      expect.objectContaining({ code, row: expect.objectContaining({ exitCode: 78 }) }),
    );
  });

  test('is judged without what the environment of the shell adds or spoils', async () => {
    const { file, launch } = setup({ GATEHOUSE_STOP_TIMEOUT_SECONDS: 'soon' });
    const path = file('{}');

    expect(await validateConfig(launch(path), path)).toMatchObject({ kind: 'bootstrap' });
    await expect(validateConfig(launch(path), undefined)).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  test('of a gateway is held against the limits of this host', async () => {
    const { file, launch } = setup();
    const sources = { app: { files: ['/srv/log/*.log'] } };
    const path = file(
      JSON.stringify({ version: 1, events: { spool: { allowClearSpool: true }, sources } }),
      'checked.json',
    );

    await expect(validateConfig(launch(file('{}')), path)).rejects.toThrow(
      expect.objectContaining({ code: 'GATEWAY_CONFIG_INVALID' }),
    );
    const wider = launch(file('{"allow": {"readFrom": ["/srv/log"]}}'));
    expect(await validateConfig(wider, path)).toMatchObject({ kind: 'gateway' });
  });

  test('of a gateway is held against the engine of patterns, which the worker would refuse them with', async () => {
    const { file, launch } = setup();
    const events = {
      spool: { allowClearSpool: true },
      redaction: { patterns: { card: '\\d{13,1600}', fine: '\\d{16}' } },
      sources: {
        app: {
          files: ['/var/log/a.log'],
          multiline: { start: '\\u0041' },
          filter: { exclude: ['a', 'fine', 'b{2000}'] },
        },
      },
    };
    const problems = async () =>
      validateConfig(launch(file('{}')), file(JSON.stringify({ version: 1, events }), 'checked.json')).catch(
        ({ details }: { details: { problems: { path: string }[] } }) =>
          details.problems.map(({ path }) => path),
      );

    expect(await problems()).toEqual([
      'events.sources.app.multiline.start',
      'events.sources.app.filter.exclude[2]',
      'events.redaction.patterns.card',
    ]);
  });

  test('that cannot be read is missing input', async () => {
    const { file, launch } = setup();

    await expect(validateConfig(launch(file('{}')), '/nowhere/config.json')).rejects.toThrow(
      expect.objectContaining({ code: 'INPUT_MISSING', details: { file: '/nowhere/config.json' } }),
    );
  });
});

test('every value in effect is shown once, with where it came from', async () => {
  const { file, launch } = setup({ GATEHOUSE_REGION: 'eu-west-1' });
  const path = file('{"name": "web-1"}');

  const rows = await showConfig(launch(path), new AbortController().signal);

  expect(rows).toContainEqual({ path: 'name', value: 'web-1', origin: `file ${path}` });
  expect(rows).toContainEqual({ path: 'region', value: 'eu-west-1', origin: 'environment GATEHOUSE_REGION' });
  expect(rows).toContainEqual({ path: 'stopTimeoutSeconds', value: 20, origin: 'default' });
  expect(new Set(rows.map((row) => row.path)).size).toBe(rows.length);
});

test('the schema of a gateway config asks for its version; nothing of a bootstrap config must be in the file', () => {
  expect(configSchema('gateway').required).toContain('version');
  expect(configSchema('bootstrap').required).toBeUndefined();
});
