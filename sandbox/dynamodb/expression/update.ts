import type { AttributeValue } from '../attribute-value.ts';
import type { Placeholders } from './placeholders.ts';
import { operandsOf, type Path, parse, pathObjection, type Syntax } from './syntax.ts';

/** What `SET` puts at a path. */
export type SetOperand =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: AttributeValue }
  | { readonly kind: 'if-not-exists'; readonly path: Path; readonly otherwise: SetOperand }
  | {
      readonly kind: 'list-append' | 'plus' | 'minus';
      readonly left: SetOperand;
      readonly right: SetOperand;
    };

export type Change =
  | { readonly kind: 'set'; readonly path: Path; readonly to: SetOperand }
  | { readonly kind: 'remove'; readonly path: Path }
  | { readonly kind: 'add' | 'delete'; readonly path: Path; readonly value: AttributeValue };

const sections = ['SET', 'REMOVE', 'ADD', 'DELETE'] as const;
type Section = (typeof sections)[number];

/** @throws AwsError ValidationException */
export function parseUpdate(expression: string, given: Placeholders): readonly Change[] {
  return parse('UpdateExpression', expression, given, (syntax) => {
    const changes: Change[] = [];
    const seen = new Set<Section>();
    while (syntax.peek().kind !== 'end') {
      const section = sections.find((name) => syntax.acceptsKeyword(name));
      if (section === undefined) throw syntax.unexpected();
      if (seen.has(section)) {
        syntax.object(`The "${section}" section can only be used once in an update expression;`);
      }
      seen.add(section);
      do changes.push(change(section, syntax));
      while (syntax.accepts(','));
    }
    const objection = pathObjection(changes.map(({ path }) => path));
    if (objection !== undefined) syntax.object(objection);
    return changes;
  });
}

function change(section: Section, syntax: Syntax): Change {
  const path = syntax.path();
  if (section === 'REMOVE') return { kind: 'remove', path };
  if (section === 'SET') {
    syntax.expect('=');
    return { kind: 'set', path, to: sum(syntax) };
  }
  const value = syntax.value();
  syntax.operator();
  const isPossible = ['SS', 'NS', 'BS'].includes(value.type) || (section === 'ADD' && value.type === 'N');
  if (!isPossible) {
    syntax.object(
      `Incorrect operand type for operator or function; operator: ${section}, operand type: ${typeNames[value.type] ?? value.type}`,
    );
  }
  return { kind: section === 'ADD' ? 'add' : 'delete', path, value };
}

/** One operand, or two with a sign between them: never more. */
function sum(syntax: Syntax): SetOperand {
  const left = operand(syntax);
  const sign = (['+', '-'] as const).find((one) => syntax.accepts(one));
  if (sign === undefined) return left;
  syntax.operator();
  const right = operand(syntax);
  for (const one of [left, right]) {
    if (one.kind === 'value' && one.value.type !== 'N') objectToType(sign, one.value.type, syntax);
  }
  return { kind: sign === '+' ? 'plus' : 'minus', left, right };
}

function operand(syntax: Syntax): SetOperand {
  const { kind, text } = syntax.peek();
  if (kind === 'value') return { kind: 'value', value: syntax.value() };
  if (kind === 'word' && syntax.peek(1).text === '(') return call(text, syntax);
  return { kind: 'path', path: syntax.path() };
}

function call(name: string, syntax: Syntax): SetOperand {
  const given = operandsOf(syntax, operand);
  const [left, right] = given;
  const nothing: SetOperand = { kind: 'value', value: { type: 'NULL', value: true } };
  if (name !== 'if_not_exists' && name !== 'list_append') {
    const isElsewhere =
      /^(?:attribute_exists|attribute_not_exists|attribute_type|begins_with|contains|size)$/u;
    syntax.object(
      isElsewhere.test(name)
        ? `The function is not allowed in an update expression; function: ${name}`
        : `Invalid function name; function: ${name}`,
    );
    return nothing;
  }
  if (left === undefined || right === undefined || given.length !== 2) {
    syntax.object(
      `Incorrect number of operands for operator or function; operator or function: ${name}, number of operands: ${given.length}`,
    );
    return nothing;
  }
  if (name === 'list_append') {
    for (const one of given) {
      if (one.kind === 'value' && one.value.type !== 'L') objectToType(name, one.value.type, syntax);
    }
    return { kind: 'list-append', left, right };
  }
  if (left.kind !== 'path') {
    syntax.object(`Operator or function requires a document path; operator or function: ${name}`);
    return nothing;
  }
  return { kind: 'if-not-exists', path: left.path, otherwise: right };
}

function objectToType(name: string, type: string, syntax: Syntax): void {
  syntax.object(
    `Incorrect operand type for operator or function; operator or function: ${name}, operand type: ${type}`,
  );
}

/** `ADD` and `DELETE` spell their operand's type out. */
const typeNames: Readonly<Record<string, string>> = {
  S: 'STRING',
  N: 'NUMBER',
  B: 'BINARY',
  BOOL: 'BOOLEAN',
  NULL: 'NULL',
  L: 'LIST',
  M: 'MAP',
};
