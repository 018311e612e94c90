/** A piece of an expression. The last of every expression is of kind `end`. */
export interface Token {
  readonly kind: 'word' | 'name' | 'value' | 'number' | 'sign' | 'unknown' | 'end';
  readonly text: string;
  /** Where it begins, and where it ends, in the expression. */
  readonly start: number;
  readonly end: number;
}

/** `word` is an attribute's name, a function or a keyword; `name` a `#placeholder`, `value` a `:placeholder`. */
const pattern =
  /(?<word>[A-Za-z_][A-Za-z0-9_]*)|(?<name>#[A-Za-z0-9_]+)|(?<value>:[A-Za-z0-9_]+)|(?<number>\d+)|(?<sign><>|<=|>=|[=<>(),.[\]+-])|(?<unknown>\S)/gu;

const kinds = ['word', 'name', 'value', 'number', 'sign'] as const;

export function tokensOf(expression: string): readonly Token[] {
  const tokens = Array.from(expression.matchAll(pattern), (match): Token => {
    const kind = kinds.find((one) => match.groups?.[one] !== undefined) ?? 'unknown';
    const [text] = match;
    return { kind, text, start: match.index, end: match.index + text.length };
  });
  return [...tokens, { kind: 'end', text: '<EOF>', start: expression.length, end: expression.length }];
}
