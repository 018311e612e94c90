import {
  type AttributeType,
  type AttributeValue,
  attributeTypes,
  compareValues,
  isEqual,
  shownValue,
} from '../attribute-value.ts';
import type { Placeholders } from './placeholders.ts';
import { type ExpressionKind, operandsOf, type Path, parse, type Syntax, shownPath } from './syntax.ts';

export const comparators = ['=', '<>', '<', '<=', '>', '>='] as const;
export type Comparator = (typeof comparators)[number];

export type Operand =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: AttributeValue }
  | { readonly kind: 'size'; readonly of: Operand };

export type Condition =
  | { readonly kind: 'and' | 'or'; readonly left: Condition; readonly right: Condition }
  | { readonly kind: 'not'; readonly of: Condition }
  | {
      readonly kind: 'compare';
      readonly operator: Comparator;
      readonly left: Operand;
      readonly right: Operand;
    }
  | { readonly kind: 'between'; readonly operand: Operand; readonly low: Operand; readonly high: Operand }
  | { readonly kind: 'in'; readonly operand: Operand; readonly among: readonly Operand[] }
  | { readonly kind: 'exists' | 'not-exists'; readonly path: Path }
  | { readonly kind: 'is-type'; readonly path: Path; readonly type: AttributeType }
  | { readonly kind: 'begins-with' | 'contains'; readonly operand: Operand; readonly wanted: Operand };

/** "The list can contain up to 100 values". */
const amongMax = 100;

/** Names are written in small letters only. */
const conditionFunctions = {
  attribute_exists: 1,
  attribute_not_exists: 1,
  attribute_type: 2,
  begins_with: 2,
  contains: 2,
  size: 1,
} as const;
type FunctionName = keyof typeof conditionFunctions;

/** What stands where an objection was made, so that reading can go on. */
const impossible: Condition = { kind: 'exists', path: [''] };
const nothing: Operand = { kind: 'value', value: { type: 'NULL', value: true } };

/** @throws AwsError ValidationException */
export function parseCondition(
  kind: Exclude<ExpressionKind, 'ProjectionExpression' | 'UpdateExpression'>,
  expression: string,
  given: Placeholders,
): Condition {
  return parse(kind, expression, given, either);
}

function either(syntax: Syntax): Condition {
  let left = both(syntax);
  while (syntax.acceptsKeyword('OR')) {
    syntax.operator();
    left = { kind: 'or', left, right: both(syntax) };
  }
  return left;
}

function both(syntax: Syntax): Condition {
  let left = term(syntax);
  while (syntax.acceptsKeyword('AND')) {
    syntax.operator();
    left = { kind: 'and', left, right: term(syntax) };
  }
  return left;
}

function term(syntax: Syntax): Condition {
  if (syntax.acceptsKeyword('NOT')) {
    syntax.operator();
    return { kind: 'not', of: term(syntax) };
  }
  if (!syntax.accepts('(')) return comparison(syntax);
  if (isWrappedAgain(syntax)) syntax.object('The expression has redundant parentheses;');
  const inner = either(syntax);
  syntax.expect(')');
  return inner;
}

/** `((a = :b))`, but not `((a = :b) AND c = :d)`: the next parenthesis closes right before the one around it. */
function isWrappedAgain(syntax: Syntax): boolean {
  if (syntax.peek().text !== '(') return false;
  let depth = 0;
  for (let ahead = 0; syntax.peek(ahead).kind !== 'end'; ahead += 1) {
    const { text } = syntax.peek(ahead);
    if (text === '(') depth += 1;
    if (text === ')') depth -= 1;
    if (depth === 0) return syntax.peek(ahead + 1).text === ')';
  }
  return false;
}

function comparison(syntax: Syntax): Condition {
  const name = functionName(syntax);
  if (name === 'unknown') {
    operandsOf(syntax, operand);
    return impossible;
  }
  if (name !== undefined && name !== 'size') return predicate(name, syntax);

  const left = operand(syntax);
  syntax.operator();
  if (syntax.acceptsKeyword('BETWEEN')) {
    const low = operand(syntax);
    syntax.expectKeyword('AND');
    const between = { kind: 'between', operand: left, low, high: operand(syntax) } as const;
    objectToBounds(between.low, between.high, syntax);
    return between;
  }
  if (syntax.acceptsKeyword('IN')) return { kind: 'in', operand: left, among: list(syntax) };
  const operator = comparators.find((sign) => syntax.accepts(sign));
  if (operator === undefined) throw syntax.unexpected();
  const right = operand(syntax);
  objectToTypes(operator, [left, right], syntax);
  objectToSame(operator, [left, right], syntax);
  return { kind: 'compare', operator, left, right };
}

function list(syntax: Syntax): readonly Operand[] {
  syntax.expect('(');
  const among = [operand(syntax)];
  while (syntax.accepts(',')) among.push(operand(syntax));
  syntax.expect(')');
  if (among.length > amongMax) {
    syntax.object(`The IN operator is provided with too many operands; number of operands: ${among.length}`);
  }
  return among;
}

function operand(syntax: Syntax): Operand {
  const name = functionName(syntax);
  if (name !== undefined) {
    const [of, ...more] = operandsOf(syntax, operand);
    if (of === undefined || name === 'unknown') return nothing;
    if (name !== 'size') {
      syntax.object(`The function is not allowed to be used this way in an expression; function: ${name}`);
    }
    objectToCount(name, more.length + 1, syntax);
    if (of.kind === 'value' && ['N', 'BOOL', 'NULL'].includes(of.value.type)) {
      objectToType('size', of.value.type, syntax);
    }
    return { kind: 'size', of };
  }
  if (syntax.peek().kind === 'value') return { kind: 'value', value: syntax.value() };
  return { kind: 'path', path: syntax.path() };
}

/** The name of the function that is called next; undefined where what follows is no call. */
function functionName(syntax: Syntax): FunctionName | 'unknown' | undefined {
  const { kind, text } = syntax.peek();
  if (kind !== 'word' || syntax.peek(1).text !== '(') return undefined;
  if (isFunctionName(text)) return text;
  syntax.object(`Invalid function name; function: ${text}`);
  return 'unknown';
}

function isFunctionName(text: string): text is FunctionName {
  return Object.hasOwn(conditionFunctions, text);
}

function predicate(name: Exclude<FunctionName, 'size'>, syntax: Syntax): Condition {
  const given = operandsOf(syntax, operand);
  objectToCount(name, given.length, syntax);
  const [first, second] = given;
  if (first === undefined || (second === undefined && conditionFunctions[name] === 2)) {
    return impossible;
  }

  if (name === 'begins_with' || name === 'contains') {
    const wanted = second ?? first;
    objectToSame(name, [first, wanted], syntax);
    for (const one of name === 'begins_with' ? [first, wanted] : []) {
      if (one.kind === 'value' && one.value.type !== 'S' && one.value.type !== 'B') {
        objectToType(name, one.value.type, syntax);
      }
    }
    return { kind: name === 'contains' ? 'contains' : 'begins-with', operand: first, wanted };
  }
  if (first.kind !== 'path') {
    syntax.object(`Operator or function requires a document path; operator or function: ${name}`);
    return impossible;
  }
  if (name !== 'attribute_type') {
    return { kind: name === 'attribute_exists' ? 'exists' : 'not-exists', path: first.path };
  }
  return { kind: 'is-type', path: first.path, type: typeNamed(second, syntax) };
}

function typeNamed(operandGiven: Operand | undefined, syntax: Syntax): AttributeType {
  if (operandGiven?.kind !== 'value' || operandGiven.value.type !== 'S') {
    objectToType('attribute_type', operandGiven?.kind === 'value' ? operandGiven.value.type : 'path', syntax);
    return 'S';
  }
  const { value } = operandGiven.value;
  const type = attributeTypes.find((one) => one === value);
  if (type === undefined) {
    syntax.object(
      `Invalid attribute type name found; type: ${value}, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}`,
    );
  }
  return type ?? 'S';
}

function objectToCount(name: FunctionName, count: number, syntax: Syntax): void {
  if (count === conditionFunctions[name]) return;
  syntax.object(
    `Incorrect number of operands for operator or function; operator or function: ${name}, number of operands: ${count}`,
  );
}

function objectToType(name: string, type: string, syntax: Syntax): void {
  syntax.object(
    `Incorrect operand type for operator or function; operator or function: ${name}, operand type: ${type}`,
  );
}

/** Only text, numbers and bytes have an order. */
function objectToTypes(operator: Comparator, given: readonly Operand[], syntax: Syntax): void {
  if (operator === '=' || operator === '<>') return;
  for (const one of given) {
    if (one.kind === 'value' && !['S', 'N', 'B'].includes(one.value.type)) {
      objectToType(operator, one.value.type, syntax);
    }
  }
}

function objectToSame(name: string, [left, right]: readonly [Operand, Operand], syntax: Syntax): void {
  const isSame =
    (left.kind === 'path' && right.kind === 'path' && shownPath(left.path) === shownPath(right.path)) ||
    (left.kind === 'value' && right.kind === 'value' && isEqual(left.value, right.value));
  if (!isSame) return;
  const shown =
    left.kind === 'path' ? shownPath(left.path) : left.kind === 'value' ? shownValue(left.value) : '';
  syntax.object(
    `The first operand must be distinct from the remaining operands for this operator or function; operator: ${name}, first operand: ${shown}`,
  );
}

function objectToBounds(low: Operand, high: Operand, syntax: Syntax): void {
  if (low.kind !== 'value' || high.kind !== 'value') return;
  const bounds = `lower bound operand: AttributeValue: ${shownValue(low.value)}, upper bound operand: AttributeValue: ${shownValue(high.value)}`;
  if (low.value.type !== high.value.type) {
    syntax.object(`The BETWEEN operator requires same data type for lower and upper bounds; ${bounds}`);
    return;
  }
  const order = compareValues(low.value, high.value);
  if (order === undefined) objectToType('BETWEEN', low.value.type, syntax);
  else if (order > 0) {
    syntax.object(
      `The BETWEEN operator requires upper bound to be greater than or equal to lower bound; ${bounds}`,
    );
  }
}
