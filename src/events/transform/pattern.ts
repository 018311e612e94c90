import { eventsError } from '../errors.ts';

/** Whether a line has what is looked for anywhere in it. */
export type Pattern = (line: string) => boolean;

/**
 * Patterns of operators, in a linear-time engine: RegExp could be made to run for ever by a line, and who writes lines
 * is not who writes patterns. Loaded only where there are any.
 * @throws EVENTS_PATTERN_INVALID
 */
export async function compilePatterns(patterns: readonly string[]): Promise<readonly Pattern[]> {
  if (patterns.length === 0) return [];
  const { RE2JS } = await import('re2js');
  return patterns.map((pattern) => {
    try {
      const compiled = RE2JS.compile(pattern);
      return (line) => compiled.test(line);
    } catch (error) {
      throw eventsError('EVENTS_PATTERN_INVALID', { pattern }, error);
    }
  });
}

/** Of one that may be absent. */
export async function compilePattern(pattern: string | undefined): Promise<Pattern | undefined> {
  return pattern === undefined ? undefined : (await compilePatterns([pattern]))[0];
}

const patternLengthMax = 1_000;
const inlineFlags = /^\(\?[imsU]+\)/u;
const beyondLinear = /\\[1-9]|\\k<|\(\?<?[=!]/u;

/**
 * What is wrong with a pattern, as far as it can be told without the engine, which is not loaded to check a config;
 * undefined when nothing is.
 */
export function patternProblem(pattern: string): string | undefined {
  if (pattern.length > patternLengthMax) return `must have at most ${patternLengthMax} characters`;
  if (beyondLinear.test(pattern))
    return 'must have no look-around and no back-reference: the engine is linear';
  try {
    asRegExp(pattern);
    return undefined;
  } catch {
    return 'must be a regular expression, as RE2 has them';
  }
}

/** As `patternProblem`, of a pattern whose matches are taken out. */
export function redactionPatternProblem(pattern: string): string | undefined {
  const problem = patternProblem(pattern);
  if (problem !== undefined) return problem;
  return asRegExp(pattern).test('') ? 'must not match where there is nothing' : undefined;
}

/** RE2 names groups as Python does. */
function asRegExp(pattern: string): RegExp {
  return RegExp(pattern.replace(inlineFlags, '').replaceAll('(?P<', '(?<'));
}
