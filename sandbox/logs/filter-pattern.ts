import { invalidParameter } from './input.ts';

/**
 * The unstructured filter patterns: `word "a phrase"` asks for all of them, `?a ?b` for any, `-word` for its absence.
 * Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html. Patterns of JSON
 * (`{`), of columns (`[`) and of regular expressions (`%`) are refused: the sandbox does not have them.
 */
export function filterPattern(pattern: string): (message: string) => boolean {
  const trimmed = pattern.trim();
  if (trimmed.length > 1024) throw invalidParameter('The filter pattern is longer than 1024 characters.');
  if (/^[{[%]/u.test(trimmed)) {
    throw invalidParameter(
      'The sandbox knows filter patterns of terms only, not of JSON, columns or %regex%.',
    );
  }
  const required: string[] = [];
  const optional: string[] = [];
  const excluded: string[] = [];
  for (const { sign, term } of termsOf(trimmed)) {
    if (sign === '-') excluded.push(term);
    else if (sign === '?') optional.push(term);
    else required.push(term);
  }
  // AWS ignores optional terms beside required or excluded ones.
  const anyOf = required.length + excluded.length === 0 ? optional : [];
  return (message) =>
    required.every((term) => message.includes(term)) &&
    !excluded.some((term) => message.includes(term)) &&
    (anyOf.length === 0 || anyOf.some((term) => message.includes(term)));
}

function* termsOf(pattern: string): Generator<{ readonly sign: string; readonly term: string }> {
  const token = /([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?:\s+|$)/uy;
  while (token.lastIndex < pattern.length) {
    const found = token.exec(pattern);
    if (found === null) throw invalidParameter('Invalid filter pattern');
    const [, sign = '', phrase, word = ''] = found;
    if (phrase === undefined && !/^\w+$/u.test(word)) {
      throw invalidParameter(`Invalid character(s) in term '${word}'`);
    }
    yield { sign, term: phrase === undefined ? word : phrase.replaceAll(/\\(.)/gu, '$1') };
  }
}
