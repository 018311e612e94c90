import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { baseErrors } from '../../src/base/errors.ts';
import { cliPage } from './cli.ts';
import { configKeys, configPage } from './config.ts';
import { errorsPage } from './errors.ts';
import { logEventsPage } from './log-events.ts';
import { table } from './markdown.ts';

test('a table keeps its shape, whatever stands in a cell', () => {
  const text = table(['A', 'B'], [['a|b', 'two\n  lines']]);

  expect(text).toBe('| A | B |\n|---|---|\n| a\\|b | two lines |');
});

describe('the page of errors', () => {
  test('says of each what it means, what to do, how it exits and whether to retry', () => {
    const text = errorsPage(baseErrors);

    expect(text).toContain(`### DEADLINE_EXCEEDED

An operation took longer than it may.

**Do:** Look at what it was waiting for, named in the details, and try again.

Exit code 69 · HTTP status 504 · retry: yes`);
    expect(text).toContain('| 70 | `DEFECT` |');
  });

  test('is the same whatever the order of the table', () => {
    const { DEFECT, DEADLINE_EXCEEDED } = baseErrors;

    expect(errorsPage({ DEADLINE_EXCEEDED, DEFECT })).toBe(errorsPage({ DEFECT, DEADLINE_EXCEEDED }));
  });
});

test('the page of log events says of each its level, fields and whether it is audited', () => {
  const text = logEventsPage({
    'secret.read': {
      level: 'info',
      summary: 'a secret was read',
      fields: { ms: 'milliseconds' },
      audit: 'success',
    },
  });

  expect(text).toContain('| [secret.read](#secretread) | info | success | A secret was read. |');
  expect(text).toContain('A secret was read. (info · audit: success)');
  expect(text).toContain('| `ms` | milliseconds |');
});

describe('the keys of a config', () => {
  test('are named by their path, through lists and maps', () => {
    const schema = z.strictObject({
      allow: z.strictObject({ readFrom: z.array(z.string()) }),
      secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
      deliveries: z.array(z.strictObject({ mode: z.string() })),
    });

    const paths = configKeys(schema).map(({ path }) => path);

    expect(paths).toEqual([
      'allow',
      'allow.readFrom',
      'secrets',
      'secrets.NAME.file',
      'deliveries',
      'deliveries[].mode',
    ]);
  });

  test('carry type, default, unit, description and examples', () => {
    const schema = z.strictObject({
      stopTimeoutSeconds: z
        .int()
        .default(20)
        .meta({ description: 'Time to stop.', applies: 'restart', unit: 'seconds', examples: [30] }),
    });

    expect(configKeys(schema)).toEqual([
      {
        path: 'stopTimeoutSeconds',
        type: 'integer',
        isRequired: false,
        default: '20',
        unit: 'seconds',
        applies: 'restart',
        description: 'Time to stop.',
        examples: ['30'],
      },
    ]);
  });

  test('inherit when a change applies', () => {
    const schema = z.strictObject({ spool: z.strictObject({ max: z.number() }).meta({ applies: 'live' }) });

    expect(configKeys(schema).map(({ applies }) => applies)).toEqual(['live', 'live']);
  });

  test('of alternatives are all there, once, and none is required', () => {
    const schema = z.strictObject({
      source: z.union([
        z.strictObject({ files: z.array(z.string()), logGroup: z.string().optional() }),
        z.strictObject({ audit: z.literal(true), logGroup: z.string().optional() }),
      ]),
    });

    const keys = configKeys(schema);

    expect(keys.map(({ path }) => path)).toEqual([
      'source',
      'source.files',
      'source.logGroup',
      'source.audit',
    ]);
    expect(keys.slice(1).some(({ isRequired }) => isRequired)).toBe(false);
  });

  test('show their environment variables where they have any', () => {
    const schema = z.strictObject({
      logLevel: z.enum(['info', 'warn']),
      more: z.array(z.strictObject({ a: z.string() })),
    });

    const text = configPage([
      { title: 'T', introduction: 'I', schema, variablesOf: (path) => [`GATEHOUSE_${path.join('_')}`] },
    ]);

    expect(text).toContain('| Type | `"info" \\| "warn"` |');
    expect(text).toContain('| Environment | `GATEHOUSE_logLevel` |');
    expect(text).not.toContain('GATEHOUSE_more[]');
  });
});

test('a key is required where the schema demands it and nobody fills it in', () => {
  const schema = z.strictObject({ name: z.string(), region: z.string() });

  const text = configPage([{ title: 'T', introduction: 'I', schema, filledIn: ['name'] }]);

  expect(text.split('### `region`').map((part) => part.includes('| Required | yes |'))).toEqual([
    false,
    true,
  ]);
});

describe('the page of the command line', () => {
  const unseal = {
    usage: 'unseal <file>',
    summary: 'Open a sealed file',
    options: { 'key-id': { type: 'string', describe: 'Key', alias: 'k' }, out: { demandOption: true } },
    positionals: { file: { describe: 'What to open' } },
  };

  test('says of each command its use, arguments and flags', () => {
    const text = cliPage([unseal], {});

    expect(text).toContain('## gatehouse unseal \\<file>');
    expect(text).toContain('- `file`: What to open');
    expect(text).toContain('| `--key-id`, `-k` | string |  | Key. |');
    expect(text).toContain('| `--out` | string | required |  |');
  });

  test('says it of commands below a command too', () => {
    const list = { usage: 'list', summary: 'List', options: {}, subcommands: [unseal] };
    const text = cliPage(
      [{ usage: 'config', summary: 'Config', options: {}, subcommands: [list, unseal] }],
      {},
    );

    expect(text).toContain('### gatehouse config unseal \\<file>');
    expect(text).toContain('### gatehouse config list unseal \\<file>');
  });
});
