import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { GatehouseError } from '../base/errors.ts';
import { gatewayConfigKeys } from './config.ts';
import { decodeGateway, type GatewayValue, gatewayBytesMax, validateGateway } from './gateway.ts';

const config = { version: 1, schedules: { refreshSecretsCron: '0 3 * * *' }, note: 'ümlaut' };
const json = JSON.stringify(config);
const base64 = Buffer.from(json).toString('base64');

function failure(work: () => unknown): GatehouseError {
  try {
    work();
  } catch (error) {
    if (error instanceof GatehouseError) return error;
    throw error;
  }
  throw new Error('did not fail');
}

describe('decoding a gateway config', () => {
  it.each<[string, GatewayValue]>([
    ['JSON', { text: json }],
    [
      'JSON with space around it and a $schema',
      { text: `\n ${JSON.stringify({ $schema: 'x', ...config }, null, 2)}\n` },
    ],
    ['base64 of JSON', { text: base64 }],
    ['base64 in lines', { text: `${base64.replaceAll(/(.{20})/gu, '$1\n')}\n` }],
    ['binary JSON', { bytes: Buffer.from(json) }],
    ['binary base64 of JSON', { bytes: Buffer.from(base64) }],
  ])('accepts %s', (_form, value) => {
    expect(decodeGateway(value)).toEqual(config);
  });

  it.each<[string, GatewayValue, Record<string, unknown>]>([
    ['GATEWAY_CONFIG_EMPTY', {}, {}],
    ['GATEWAY_CONFIG_EMPTY', { text: ' \n' }, {}],
    ['GATEWAY_CONFIG_NOT_TEXT', { bytes: Buffer.from([0x1f, 0x8b, 0x08]) }, {}],
    ['GATEWAY_CONFIG_NOT_TEXT', { text: Buffer.from([0x1f, 0x8b, 0x08]).toString('base64') }, {}],
    [
      'GATEWAY_CONFIG_NOT_JSON',
      { text: json.slice(0, -1) },
      { line: 1, fault: 'ends-early', encoding: 'plain' },
    ],
    [
      'GATEWAY_CONFIG_NOT_JSON',
      { text: Buffer.from('{\n "canary": canary}').toString('base64') },
      { line: 2, column: 12, fault: 'syntax', encoding: 'base64' },
    ],
    [
      'GATEWAY_CONFIG_NOT_JSON',
      { text: 'canary secret, pasted!' },
      { line: 1, column: 1, encoding: 'plain' },
    ],
    ['GATEWAY_CONFIG_NOT_JSON', { text: '{"a":1,"a":2}' }, { line: 1, column: 8, fault: 'duplicate-key' }],
    ['GATEWAY_CONFIG_NOT_OBJECT', { text: '[1]' }, {}],
    ['GATEWAY_CONFIG_NOT_OBJECT', { text: '1234' }, {}],
    ['GATEWAY_CONFIG_NOT_OBJECT', { text: '"canary"' }, {}],
    ['GATEWAY_CONFIG_NOT_OBJECT', { text: 'null' }, {}],
    ['GATEWAY_CONFIG_NOT_OBJECT', { text: Buffer.from('[1, 2]').toString('base64') }, {}],
    ['GATEWAY_CONFIG_VERSION_UNKNOWN', { text: '{"version": 2, "canary": 1}' }, { version: 2, known: 1 }],
    ['GATEWAY_CONFIG_TOO_LARGE', { bytes: Buffer.alloc(gatewayBytesMax + 1) }, { bytesMax: gatewayBytesMax }],
  ])('%s: %j', (code, value, details) => {
    const error = failure(() => decodeGateway(value));

    expect(error).toMatchObject({ code, details, row: { exitCode: 78 } });
    expect(JSON.stringify([error.details, error.message])).not.toContain('canary');
  });

  it('any value ends in an object or in a typed error', () => {
    const text = fc.oneof(fc.string(), fc.json(), fc.base64String());
    const value = fc.oneof(
      text.map((given) => ({ text: given })),
      text.map((given) => ({ text: Buffer.from(given).toString('base64') })),
      fc.uint8Array().map((bytes) => ({ bytes })),
    );

    fc.assert(
      fc.property(value, (given) => {
        try {
          expect(decodeGateway(given)).toBeTypeOf('object');
        } catch (error) {
          if (!(error instanceof GatehouseError)) throw error;
        }
      }),
    );
  });
});

describe('validating a gateway config', () => {
  const form = z.union([
    z.strictObject({ sealedFile: z.string() }),
    z.strictObject({ secretId: z.string().min(3) }),
  ]);
  const schema = z.strictObject({
    ...gatewayConfigKeys,
    secrets: z.record(z.string().regex(/^[a-z-]+$/u, 'must be a name'), form).default({}),
    mode: z
      .string()
      .superRefine((value, context) =>
        context.addIssue({ code: 'custom', message: `no such mode: ${value}` }),
      )
      .optional(),
    many: z.array(z.int().max(3)).optional(),
  });

  function problems(document: unknown, rules: Parameters<typeof validateGateway<typeof schema>>[1] = []) {
    const { code, details } = failure(() => validateGateway(schema, rules, document));
    expect(code).toBe('GATEWAY_CONFIG_INVALID');
    return details['problems'];
  }

  it('fills in defaults', () => {
    expect(validateGateway(schema, [], { version: 1 })).toEqual({
      version: 1,
      schedules: { refreshSecretsCron: '*/5 * * * *' },
      secrets: {},
    });
  });

  it('tells every problem at once; of a value that may have several forms, those of the likeliest', () => {
    const document = {
      secrets: {
        a: { sealdFile: '/x' },
        b: { secretId: '' },
        c: 'canary',
        D1: { secretId: 'abc' },
        e: {},
        f: { secretId: 7 },
      },
      many: [1, 9, 'canary'],
      mode: 'canary-mode',
    };

    expect(problems(document)).toEqual([
      { path: 'version', message: 'is missing' },
      { path: 'secrets.a.sealedFile', message: 'is missing' },
      { path: 'secrets.a.sealdFile', message: 'unknown key; did you mean "sealedFile"?' },
      { path: 'secrets.b.secretId', message: 'expected at least 3 characters' },
      { path: 'secrets.c', message: 'expected an object, not a string' },
      { path: 'secrets.D1', message: 'must be a name' },
      { path: 'secrets.e.sealedFile', message: 'is missing' },
      { path: 'secrets.f.secretId', message: 'expected a string, not a number' },
      { path: 'mode', message: 'not accepted' },
      { path: 'many[1]', message: 'expected at most 3' },
      { path: 'many[2]', message: 'expected a number, not a string' },
    ]);
  });

  it('tells what the rules find when the form is right', () => {
    const first = { path: 'a', message: 'one' };
    const second = { path: 'b', message: 'two' };

    expect(problems({ version: 1 }, [() => [first], () => [second]])).toEqual([first, second]);
  });

  it('tells a hundred problems at most, and how many more there are', () => {
    const found = problems({ version: 1, many: Array.from({ length: 150 }, () => 4) });

    expect(found).toHaveLength(101);
    expect(found).toContainEqual({ path: '', message: 'and 50 more problems' });
  });

  it('names an unknown key, but not one that is long enough to be a secret whole', () => {
    expect(problems({ version: 1, [`k${'x'.repeat(100)}`]: 1 })).toEqual([
      { path: `["k${'x'.repeat(63)}…"]`, message: 'unknown key' },
    ]);
  });

  it('__proto__ is an unknown key like any other', () => {
    expect(problems(JSON.parse('{"version": 1, "__proto__": {"many": [1]}}'))).toEqual([
      { path: '__proto__', message: 'unknown key' },
    ]);
  });
});
