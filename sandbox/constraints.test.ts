import { describe, expect, it } from 'vitest';
import { blob, flag, integer, list, read, required, structure, text, textMap } from './constraints.ts';
import { AwsError, type JsonObject } from './service.ts';

const shape = {
  Name: required(text({ min: 2, max: 4, pattern: /^[a-z]+$/u })),
  Kind: text({ oneOf: ['A', 'B'] }),
  Secret: text({ max: 2, inBytes: true, sensitive: true }),
  Bytes: blob({ max: 2 }),
  Count: integer({ min: 1, max: 9 }),
  Force: flag(),
  Pairs: textMap(),
  Tags: list(structure({ Key: required(text({ min: 1 })) }), { max: 2 }),
};

function refusal(input: JsonObject): string {
  try {
    read(shape, input);
  } catch (error) {
    if (error instanceof AwsError) return `${error.name}: ${error.message}`;
  }
  return 'nothing refused';
}

const at = (what: string, rule: string): string =>
  `${what} failed to satisfy constraint: Member must ${rule}`;

describe('reading input', () => {
  it('what keeps to the model is read', () => {
    const input = { Name: 'abc', Kind: 'A', Bytes: 'AAE=', Count: 9, Force: false, Tags: [{ Key: 'k' }] };

    expect(read(shape, { ...input, Pairs: { a: 'b', c: 1 }, Unknown: {} })).toEqual({
      ...input,
      Bytes: Buffer.from([0, 1]),
      Pairs: new Map([
        ['a', 'b'],
        ['c', '1'],
      ]),
    });
  });

  it('null is the same as nothing', () => {
    expect(read(shape, { Name: 'abc', Kind: null })).toEqual({ Name: 'abc' });
  });

  it('each breach is named with its member, and no sensitive value', () => {
    for (const [input, breach] of [
      [{}, at("Value null at 'name'", 'not be null')],
      [{ Name: 'abcde' }, at("Value 'abcde' at 'name'", 'have length less than or equal to 4')],
      [{ Name: 'AB' }, at("Value 'AB' at 'name'", 'satisfy regular expression pattern: ^[a-z]+$')],
      [{ Name: 'ab', Kind: 'C' }, at("Value 'C' at 'kind'", 'satisfy enum value set: [A, B]')],
      [{ Name: 'ab', Secret: 'éé' }, at("Value at 'secret'", 'have length less than or equal to 2')],
      [{ Name: 'ab', Bytes: 'AAAA' }, at("Value at 'bytes'", 'have length less than or equal to 2')],
      [{ Name: 'ab', Count: 0 }, at("Value '0' at 'count'", 'have value greater than or equal to 1')],
      [{ Name: 'ab', Tags: [{}] }, at("Value null at 'tags.1.member.key'", 'not be null')],
      [
        { Name: 'ab', Tags: [{ Key: 'a' }, { Key: 'b' }, { Key: 'c' }] },
        at("Value at 'tags'", 'have length less than or equal to 2'),
      ],
    ] as const) {
      expect(refusal(input)).toBe(`ValidationException: 1 validation error detected: ${breach}`);
    }
  });

  it('all breaches are named at once', () => {
    expect(refusal({ Name: 'A', Count: 10 })).toMatch(
      /^ValidationException: 3 validation errors detected: /u,
    );
  });

  it('the wrong JSON type, bad base64 and a broken string are no input at all', () => {
    for (const wrong of [
      { Name: 1 },
      { Count: '1' },
      { Count: 1.5 },
      { Force: 'true' },
      { Tags: {} },
      { Pairs: [] },
      { Pairs: { a: {} } },
      { Bytes: 'no base64' },
      { Bytes: 'AAE' },
      { Name: '\uD800' },
    ]) {
      expect(refusal({ Name: 'ab', ...wrong })).toMatch(/^SerializationException/u);
    }
  });
});
