import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AwsError } from '../../service.ts';
import { type AttributeValue, type Item, scalarText } from '../attribute-value.ts';
import { changed } from './changes.ts';
import { type Condition, comparators, type Operand, parseCondition } from './condition.ts';
import { isTrueOf } from './evaluate.ts';
import { placeholders } from './placeholders.ts';
import { parseProjection, projected } from './projection.ts';
import { reservedWords } from './reserved-words.ts';
import type { Path } from './syntax.ts';
import { parseUpdate } from './update.ts';

const text = (value: string): AttributeValue => ({ type: 'S', value });
const number = (value: number): AttributeValue => ({ type: 'N', value: String(value) });

const values: Item = new Map([
  [':a', text('a')],
  [':b', text('b')],
  [':n', number(1)],
]);
const given = () => placeholders(new Map([['#name', 'na.me']]), values);
const condition = (expression: string) => parseCondition('ConditionExpression', expression, given());

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AwsError) return error.message;
    throw error;
  }
  return 'nothing refused';
}

const names = fc
  .stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/u)
  .filter((name) => !reservedWords.has(name.toUpperCase()));
const somePaths: fc.Arbitrary<Path> = fc
  .tuple(names, fc.array(fc.oneof(names, fc.nat({ max: 99 })), { maxLength: 3 }))
  .map(([first, rest]): Path => {
    const path: [string, ...(string | number)[]] = [first];
    path.push(...rest);
    return path;
  });
const operands: fc.Arbitrary<Operand> = fc.oneof(
  somePaths.map((path): Operand => ({ kind: 'path', path })),
  fc
    .constantFrom(':a', ':b')
    .map((name): Operand => ({ kind: 'value', value: values.get(name) ?? text('') })),
  somePaths.map((path): Operand => ({ kind: 'size', of: { kind: 'path', path } })),
);
const isText = (operand: Operand): boolean => operand.kind !== 'size';

const { condition: conditions } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .tuple(fc.constantFrom(...comparators), operands, operands)
      .filter(([, left, right]) => written(left) !== written(right))
      .map(([operator, left, right]): Condition => ({ kind: 'compare', operator, left, right })),
    fc
      .tuple(operands, fc.array(operands, { minLength: 1, maxLength: 4 }))
      .map(([operand, among]): Condition => ({ kind: 'in', operand, among })),
    somePaths.map(
      (operand): Condition => ({
        kind: 'between',
        operand: { kind: 'path', path: operand },
        low: { kind: 'value', value: text('a') },
        high: { kind: 'value', value: text('b') },
      }),
    ),
    fc
      .tuple(fc.constantFrom('exists' as const, 'not-exists' as const), somePaths)
      .map(([kind, path]): Condition => ({ kind, path })),
    fc
      .tuple(
        fc.constantFrom('begins-with' as const, 'contains' as const),
        operands.filter(isText),
        operands.filter(isText),
      )
      .filter(([, operand, wanted]) => written(operand) !== written(wanted))
      .map(([kind, operand, wanted]): Condition => ({ kind, operand, wanted })),
    tie('condition').map((of): Condition => ({ kind: 'not', of })),
    fc
      .tuple(fc.constantFrom('and' as const, 'or' as const), tie('condition'), tie('condition'))
      .map(([kind, left, right]): Condition => ({ kind, left, right })),
  ),
}));

function writtenPath([first, ...rest]: Path): string {
  return first + rest.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
}

function written(operand: Operand): string {
  if (operand.kind === 'path') return writtenPath(operand.path);
  if (operand.kind === 'size') return `size(${written(operand.of)})`;
  return `:${scalarText(operand.value)}`;
}

/** With parentheses wherever a reader could doubt, and never two around one thing. */
function spelled(one: Condition): string {
  const inner = (part: Condition): string => `(${spelled(part)})`;
  switch (one.kind) {
    case 'and':
    case 'or':
      return `${inner(one.left)} ${one.kind} ${inner(one.right)}`;
    case 'not':
      return `NOT ${inner(one.of)}`;
    case 'compare':
      return `${written(one.left)}${one.operator}${written(one.right)}`;
    case 'between':
      return `${written(one.operand)} BETWEEN ${written(one.low)} AND ${written(one.high)}`;
    case 'in':
      return `${written(one.operand)} IN (${one.among.map(written).join(',')})`;
    case 'exists':
      return `attribute_exists(${writtenPath(one.path)})`;
    case 'not-exists':
      return `attribute_not_exists( ${writtenPath(one.path)} )`;
    case 'is-type':
      return `attribute_type(${writtenPath(one.path)}, :a)`;
    case 'begins-with':
      return `begins_with(${written(one.operand)},${written(one.wanted)})`;
    case 'contains':
      break;
  }
  return `contains(${written(one.operand)}, ${written(one.wanted)})`;
}

const anyPieces = [
  ...'a|#name|:a|:n|(|)|,|.|[0]|=|<>|<|AND|OR|NOT|IN|BETWEEN|SET|ADD'.split('|'),
  ...'size|contains|attribute_exists|foo(|+|"|\u0000|ä| '.split('|'),
];

describe('conditions', () => {
  it('what is spelled out is read as it was meant', () => {
    fc.assert(
      fc.property(conditions, (meant) => {
        fc.pre(Buffer.byteLength(spelled(meant)) <= 4096);
        expect(condition(spelled(meant))).toEqual(meant);
      }),
      { numRuns: 500 },
    );
  });

  it('any text is read, or refused as a ValidationException', () => {
    const pieces = fc.constantFrom(...anyPieces);
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        for (const parse of [
          () => condition(parts.join(' ')),
          () => parseUpdate(parts.join(' '), given()),
          () => parseProjection(parts.join(''), given()),
        ]) {
          expect(refusalOf(parse)).toMatch(
            /^(?:nothing refused$|Invalid (?:Condition|Update|Projection)Expression: )/u,
          );
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('AND binds before OR, NOT before both', () => {
    const item: Item = new Map([['a', text('a')]]);

    expect(isTrueOf(condition('a = :a OR a = :b AND a = :b'), item)).toBe(true);
    expect(isTrueOf(condition('(a = :a OR a = :b) AND a = :b'), item)).toBe(false);
    expect(isTrueOf(condition('NOT a = :a AND a = :b'), item)).toBe(false);
    expect(isTrueOf(condition('NOT (a = :b AND a = :b)'), item)).toBe(true);
  });

  it('a placeholder may stand for a name with a dot, which is no step', () => {
    expect(condition('attribute_exists(#name.x)')).toEqual({ kind: 'exists', path: ['na.me', 'x'] });
  });

  it.each([
    ['a = ', 'Syntax error; token: "<EOF>", near: "="'],
    ['a = = :a', 'Syntax error; token: "=", near: "= = :a"'],
    ['a == :a', 'Syntax error; token: "=", near: "== :a"'],
    ['(a = :a', 'Syntax error; token: "<EOF>", near: ":a"'],
    ['a.0 = :a', 'Syntax error; token: "0", near: ".0 ="'],
    ['0a = :a', 'Syntax error; token: "0", near: "0a"'],
    ['a-b = :a', 'Syntax error; token: "-", near: "a-b"'],
    ['(((a = :a)))', 'The expression has redundant parentheses;'],
    ['((a = :a AND b = :b))', 'The expression has redundant parentheses;'],
    [
      'a = a',
      'The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]',
    ],
    [
      'a BETWEEN :b AND :a',
      'The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}',
    ],
    [
      'size(:n) = a',
      'Incorrect operand type for operator or function; operator or function: size, operand type: N',
    ],
    [
      'begins_with(a, :n)',
      'Incorrect operand type for operator or function; operator or function: begins_with, operand type: N',
    ],
    [
      'attribute_type(a, :a)',
      'Invalid attribute type name found; type: a, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}',
    ],
    [
      'attribute_exists(:a)',
      'Operator or function requires a document path; operator or function: attribute_exists',
    ],
    [
      'a = contains(a, :a)',
      'The function is not allowed to be used this way in an expression; function: contains',
    ],
    [
      `a IN (${Array.from({ length: 101 }, () => ':a').join(',')})`,
      'The IN operator is provided with too many operands; number of operands: 101',
    ],
    [
      `a = :${'a'.repeat(4096)}`,
      'Expression size has exceeded the maximum allowed size; expression size: 4101',
    ],
  ])('%s is refused', (expression, message) => {
    expect(refusalOf(() => condition(expression))).toBe(`Invalid ConditionExpression: ${message}`);
  });

  it('every reserved word is refused in capitals and in small letters, but for a placeholder', () => {
    expect(reservedWords.size).toBe(573);
    for (const word of ['STATUS', 'agent', 'Name']) {
      expect(refusalOf(() => condition(`${word} = :a`))).toBe(
        `Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: ${word}`,
      );
    }
  });
});

describe('updates', () => {
  const item: Item = new Map<string, AttributeValue>([
    ['list', { type: 'L', value: [text('0'), text('1'), text('2')] }],
    ['map', { type: 'M', value: new Map([['in', text('x')]]) }],
    ['n', number(1)],
  ]);
  const renamed = placeholders(
    new Map([
      ['#list', 'list'],
      ['#map', 'map'],
      ['#in', 'in'],
    ]),
    values,
  );
  const after = (expression: string) => changed(item, parseUpdate(expression, renamed));

  it('operands are read from the item as it was', () => {
    const result = after('SET #list[0] = #list[1], #list[1] = #list[0], n = n + :n, m = n');

    expect(result.get('list')?.value).toEqual([text('1'), text('0'), text('2')]);
    expect([result.get('n'), result.get('m')]).toEqual([number(2), number(1)]);
  });

  it('elements beyond the end are added there, and removed ones are those of the list as it was', () => {
    expect(after('SET #list[9] = :a').get('list')?.value).toEqual([
      text('0'),
      text('1'),
      text('2'),
      text('a'),
    ]);
    expect(after('REMOVE #list[0], #list[2]').get('list')?.value).toEqual([text('1')]);
  });

  it('the item before is not touched', () => {
    after('SET #map.#in = :b REMOVE #list[0]');

    expect(item.get('map')?.value).toEqual(new Map([['in', text('x')]]));
  });

  it.each([
    ['SET a.b = :a', 'The document path provided in the update expression is invalid for update'],
    ['SET n[0] = :a', 'The document path provided in the update expression is invalid for update'],
    ['SET a = missing_one', 'The provided expression refers to an attribute that does not exist in the item'],
    ['SET n = #map + :n', 'An operand in the update expression has an incorrect data type'],
    ['ADD #map :n', 'An operand in the update expression has an incorrect data type'],
    [
      'ADD n :a',
      'Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING',
    ],
    [
      'SET a = size(n)',
      'Invalid UpdateExpression: The function is not allowed in an update expression; function: size',
    ],
    ['SET a = :a +', 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "+"'],
    ['SET a = n + n + n', 'Invalid UpdateExpression: Syntax error; token: "+", near: "n + n"'],
    [
      'SET a.b = :a, a[0] = :b',
      'Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [0]]',
    ],
  ])('%s is refused', (expression, message) => {
    expect(refusalOf(() => after(expression))).toBe(message);
  });
});

describe('projections', () => {
  it('keep what they name in its place, and lists without gaps', () => {
    const item: Item = new Map<string, AttributeValue>([
      ['n', number(1)],
      [
        'deep',
        {
          type: 'M',
          value: new Map([
            ['x', text('x')],
            ['y', text('y')],
          ]),
        },
      ],
      ['steps', { type: 'L', value: [text('0'), text('1'), text('2')] }],
    ]);

    const paths = parseProjection(
      'n, deep.y, steps[2], steps[0], absent.z',
      placeholders(undefined, undefined),
    );

    expect(projected(item, paths)).toEqual(
      new Map<string, AttributeValue>([
        ['n', number(1)],
        ['deep', { type: 'M', value: new Map([['y', text('y')]]) }],
        ['steps', { type: 'L', value: [text('0'), text('2')] }],
      ]),
    );
  });
});
