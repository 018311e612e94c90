import { validationException } from '../../constraints.ts';
import type { AwsError } from '../../service.ts';
import type { AttributeValue } from '../attribute-value.ts';
import type { Placeholders } from './placeholders.ts';
import { reservedWords } from './reserved-words.ts';
import { type Token, tokensOf } from './tokens.ts';

/** The parameter that an expression came in; every message about it begins with that. */
export type ExpressionKind =
  | 'ConditionExpression'
  | 'FilterExpression'
  | 'KeyConditionExpression'
  | 'ProjectionExpression'
  | 'UpdateExpression';

/** A document path: a top-level attribute, then members of maps and indexes of lists. */
export type Path = readonly [string, ...(string | number)[]];

/** "The maximum length of any expression string is 4 KB" (constraints of DynamoDB). */
const expressionBytesMax = 4096;
/** "The maximum number of operators or functions". */
const operatorsMax = 300;

/** An expression that is being read. Its grammar's rules are functions over this. */
export interface Syntax {
  /** The token that comes next; `ahead` of it further ones. */
  peek(ahead?: number): Token;
  next(): Token;
  /** Takes the sign if it comes next. */
  accepts(sign: string): boolean;
  /** Takes the keyword, written in capitals or not, if it comes next. */
  acceptsKeyword(keyword: string): boolean;
  isKeyword(keyword: string): boolean;
  expect(sign: string): void;
  expectKeyword(keyword: string): void;
  path(): Path;
  /** The value that a `:placeholder` stands for. */
  value(): AttributeValue;
  /** The error of a token that cannot stand where the next one does. */
  unexpected(): AwsError;
  /** Notes that something is wrong with what is said rather than how: told only where the whole is well formed. */
  object(message: string): void;
  /** Counts an operator or function. */
  operator(): void;
}

/** The operands of a call whose name comes next, each read by `operand`. */
export function operandsOf<Operand>(
  syntax: Syntax,
  operand: (syntax: Syntax) => Operand,
): readonly Operand[] {
  syntax.next();
  syntax.expect('(');
  syntax.operator();
  const given = [operand(syntax)];
  while (syntax.accepts(',')) given.push(operand(syntax));
  syntax.expect(')');
  return given;
}

/**
 * Reads a whole expression by one rule.
 * @throws AwsError ValidationException for what is not well formed, then for the first objection
 */
export function parse<Result>(
  kind: ExpressionKind,
  expression: string,
  given: Placeholders,
  rule: (syntax: Syntax) => Result,
): Result {
  const invalid = (message: string): AwsError => validationException(`Invalid ${kind}: ${message}`);
  if (expression.trim() === '') throw invalid('The expression can not be empty;');
  const bytes = Buffer.byteLength(expression);
  if (bytes > expressionBytesMax) {
    throw invalid(`Expression size has exceeded the maximum allowed size; expression size: ${bytes}`);
  }

  const objections: string[] = [];
  let operators = 0;
  const syntax = reading(expression, given, invalid, {
    object: (message) => void objections.push(message),
    operator: () => {
      operators += 1;
    },
  });
  const result = rule(syntax);
  if (syntax.peek().kind !== 'end') throw syntax.unexpected();
  if (operators > operatorsMax) {
    throw invalid(
      `The expression contains too many operators; maximum number of operators allowed: ${operatorsMax}, operator count: ${operators}`,
    );
  }
  const [objection] = objections;
  if (objection !== undefined) throw invalid(objection);
  return result;
}

function reading(
  expression: string,
  given: Placeholders,
  invalid: (message: string) => AwsError,
  notes: Pick<Syntax, 'object' | 'operator'>,
): Syntax {
  const tokens = tokensOf(expression);
  const end = tokens.at(-1) ?? { kind: 'end', text: '<EOF>', start: 0, end: 0 };
  let at = 0;

  const peek = (ahead = 0): Token => tokens[at + ahead] ?? end;
  const next = (): Token => {
    const token = peek();
    at += 1;
    return token;
  };
  const unexpected = (): AwsError => {
    const token = peek();
    const from = (tokens[at - 1] ?? token).start;
    const near = expression.slice(from, peek(1).end).trim();
    return invalid(`Syntax error; token: "${token.text}", near: "${near}"`);
  };
  const accepts = (sign: string): boolean => {
    const isNext = peek().kind === 'sign' && peek().text === sign;
    if (isNext) at += 1;
    return isNext;
  };
  const isKeyword = (keyword: string): boolean =>
    peek().kind === 'word' && peek().text.toUpperCase() === keyword;
  const acceptsKeyword = (keyword: string): boolean => {
    const isNext = isKeyword(keyword);
    if (isNext) at += 1;
    return isNext;
  };
  const name = (): string => {
    const token = peek();
    if (token.kind !== 'word' && token.kind !== 'name') throw unexpected();
    at += 1;
    if (token.kind === 'name') {
      const attribute = given.name(token.text);
      if (attribute === undefined) {
        notes.object(
          `An expression attribute name used in the document path is not defined; attribute name: ${token.text}`,
        );
      }
      return attribute ?? token.text;
    }
    if (reservedWords.has(token.text.toUpperCase())) {
      notes.object(`Attribute name is a reserved keyword; reserved keyword: ${token.text}`);
    }
    return token.text;
  };
  const index = (): number => {
    if (peek().kind !== 'number') throw unexpected();
    const value = Number(next().text);
    if (!accepts(']')) throw unexpected();
    return value;
  };

  return {
    peek,
    next,
    accepts,
    acceptsKeyword,
    isKeyword,
    unexpected,
    ...notes,

    expect(sign) {
      if (!accepts(sign)) throw unexpected();
    },
    expectKeyword(keyword) {
      if (!acceptsKeyword(keyword)) throw unexpected();
    },

    path() {
      const path: [string, ...(string | number)[]] = [name()];
      for (;;) {
        if (accepts('.')) path.push(name());
        else if (accepts('[')) path.push(index());
        else return path;
      }
    },

    value() {
      const { kind, text } = peek();
      if (kind !== 'value') throw unexpected();
      at += 1;
      const value = given.value(text);
      if (value === undefined) {
        notes.object(
          `An expression attribute value used in expression is not defined; attribute value: ${text}`,
        );
      }
      return value ?? { type: 'NULL', value: true };
    },
  };
}

/** `[a, b, [1]]`, as AWS writes a path into a message. */
export function shownPath(path: Path): string {
  return `[${path.map((step) => (typeof step === 'number' ? `[${step}]` : step)).join(', ')}]`;
}

/** The objection to two paths of which one lies within the other, or that take one place for a list and for a map. */
export function pathObjection(paths: readonly Path[]): string | undefined {
  for (const [index, path] of paths.entries()) {
    for (const before of paths.slice(0, index)) {
      const parts = `must remove or rewrite one of these paths; path one: ${shownPath(before)}, path two: ${shownPath(path)}`;
      const common = Math.min(before.length, path.length);
      const differs = path.slice(0, common).findIndex((step, position) => step !== before[position]);
      if (differs === -1) return `Two document paths overlap with each other; ${parts}`;
      if (typeof path[differs] !== typeof before[differs]) {
        return `Two document paths conflict with each other; ${parts}`;
      }
    }
  }
  return undefined;
}
