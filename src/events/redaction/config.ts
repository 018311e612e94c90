import { z } from 'zod';
import { entryName } from '../entry-name.ts';
import { redactionPatternProblem } from '../transform/pattern.ts';

/** All of them together are one automaton. */
const redactionPatternsMax = 50;

export const redactionConfig = z
  .strictObject({
    secrets: z
      .boolean()
      .default(true)
      .meta({
        description:
          'Take the values of the secrets of this config out of what is shipped, in every usual encoding, and say which source had one',
        applies: 'restart',
        examples: [true],
      }),
    patterns: z
      .record(
        entryName,
        z.string().superRefine((pattern, context) => {
          const message = redactionPatternProblem(pattern);
          if (message !== undefined) context.addIssue({ code: 'custom', message });
        }),
      )
      .refine(
        (patterns) => Object.keys(patterns).length <= redactionPatternsMax,
        `must have at most ${redactionPatternsMax} patterns`,
      )
      .default({})
      .meta({
        description:
          'RE2, by name: what matches is taken out of what is shipped, counted and audited under that name',
        applies: 'restart',
        examples: [{ 'card-number': '\\b\\d{4}(?:[ -]?\\d{4}){3}\\b' }],
      }),
  })
  .prefault({})
  .meta({ description: 'What is taken out of lines before anything is spooled', applies: 'restart' });
