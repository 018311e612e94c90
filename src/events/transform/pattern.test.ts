import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePatterns, patternProblem } from './pattern.ts';

test('a pattern is looked for anywhere in a line', async () => {
  const [has] = await compilePatterns(['(?i)err(or)?\\b']);

  expect(['an ERROR here', 'err', 'errand', 'fine'].map((line) => has?.(line))).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test('what would take RegExp for ever ends', async () => {
  const [has] = await compilePatterns(['^(a+)+$']);

  expect(has?.(`${'a'.repeat(50_000)}b`)).toBe(false);
});

test.each([
  ['(', 'must be a regular expression'],
  ['(?<=a)b', 'no look-around'],
  ['(?!a)b', 'no look-around'],
  ['(a)\\1', 'no back-reference'],
  ['x'.repeat(1_001), 'at most 1000 characters'],
])('%j is refused before it is loaded: %s', (pattern, problem) => {
  expect(patternProblem(pattern)).toContain(problem);
});

test.each(['^\\d{4}-', '(?i)error', '(?P<name>x)', '\\p{Lu}', 'a|b', '[^]]'])(
  '%j is taken',
  async (pattern) => {
    expect(patternProblem(pattern)).toBeUndefined();
    await expect(compilePatterns([pattern])).resolves.toHaveLength(1);
  },
);

test('what only the engine refuses has its code', async () => {
  await expect(compilePatterns(['a{2000}'])).rejects.toMatchObject({ code: 'EVENTS_PATTERN_INVALID' });
});

test('whatever the pattern and the line are, it says yes, no, or that the pattern is wrong', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 20 }), fc.string(), async (pattern, line) => {
      const compiled = await compilePatterns([pattern]).catch((error: unknown) => error);

      const answer = Array.isArray(compiled) ? typeof compiled[0](line) : compiled;
      expect(answer === 'boolean' || (answer instanceof Error && 'code' in answer)).toBe(true);
    }),
  );
});
