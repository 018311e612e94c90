import { z } from 'zod';
import { containerFormats } from './container.ts';
import { presets } from './multiline.ts';
import { patternProblem } from './pattern.ts';
import { formatProblem, zoneProblem } from './timestamp.ts';

function checked(problemOf: (text: string) => string | undefined) {
  return z
    .string()
    .min(1)
    .superRefine((text, context) => {
      const message = problemOf(text);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    });
}

const pattern = checked(patternProblem);
const patternsMax = 100;

/** What is done to the lines of a source before they are events. */
export const transformKeys = {
  container: z
    .enum(containerFormats)
    .optional()
    .meta({
      description:
        "Lines are a container runtime's: docker (json-file) or cri. Their text and time are taken out, parts of a line joined",
      applies: 'restart',
      examples: ['cri'],
    }),
  multiline: z
    .strictObject({
      preset: z
        .enum(presets)
        .optional()
        .meta({ description: 'Stack traces of this language', applies: 'restart', examples: ['java'] }),
      start: pattern.optional().meta({
        description: 'RE2: a line that begins an event',
        applies: 'restart',
        examples: ['^\\d{4}-'],
      }),
      continuation: pattern
        .optional()
        .meta({ description: 'RE2: a line that goes on with one', applies: 'restart', examples: ['^\\s'] }),
      end: pattern
        .optional()
        .meta({ description: 'RE2: a line that ends one', applies: 'restart', examples: [';$'] }),
      flushAfterMs: z
        .int()
        .min(100)
        .max(60_000)
        .default(1_000)
        .meta({
          description: 'How long an event waits for another line',
          applies: 'restart',
          unit: 'milliseconds',
          examples: [1000],
        }),
      linesMax: z
        .int()
        .min(2)
        .max(10_000)
        .default(1_000)
        .meta({
          description: 'Most lines of one event',
          applies: 'restart',
          unit: 'lines',
          examples: [1000],
        }),
      bytesMax: z
        .int()
        .min(1_024)
        .max(1_000_000)
        .default(256 * 1024)
        .meta({
          description: 'Most bytes of one event',
          applies: 'restart',
          unit: 'bytes',
          examples: [262144],
        }),
    })
    .refine(
      ({ preset, start, continuation, end }) =>
        [preset, start, continuation, end].filter((each) => each !== undefined).length === 1,
      'must have exactly one of preset, start, continuation and end',
    )
    .optional()
    .meta({
      description: 'Several lines are one event',
      applies: 'restart',
      examples: [{ preset: 'java' }],
    }),
  filter: z
    .strictObject({
      include: z
        .array(pattern)
        .min(1)
        .max(patternsMax)
        .optional()
        .meta({
          description: 'RE2: only events that have one of these',
          applies: 'restart',
          examples: [['ERROR']],
        }),
      exclude: z
        .array(pattern)
        .min(1)
        .max(patternsMax)
        .optional()
        .meta({
          description: 'RE2: no events that have one of these',
          applies: 'restart',
          examples: [['GET /health']],
        }),
      sample: z
        .number()
        .gt(0)
        .max(1)
        .optional()
        .meta({
          description: 'The share of the others that is shipped',
          applies: 'restart',
          unit: 'of 1',
          examples: [0.1],
        }),
    })
    .optional()
    .meta({
      description: 'Which events are shipped',
      applies: 'restart',
      examples: [{ exclude: ['DEBUG'] }],
    }),
  timestamp: z
    .strictObject({
      format: checked(formatProblem).meta({
        description: 'iso, epoch-s, epoch-ms, epoch-us, epoch-ns, or a pattern as strptime has them',
        applies: 'restart',
        examples: ['%d/%b/%Y:%H:%M:%S %z'],
      }),
      field: z
        .string()
        .min(1)
        .optional()
        .meta({
          description: 'The field of a JSON line that has the time; the whole line is searched when absent',
          applies: 'restart',
          examples: ['time'],
        }),
      zone: checked(zoneProblem)
        .default('UTC')
        .meta({
          description: 'Zone of times that do not say theirs',
          applies: 'restart',
          examples: ['Europe/Berlin'],
        }),
    })
    .optional()
    .meta({
      description: 'Where an event has its time; when it was read where there is none',
      applies: 'restart',
      examples: [{ format: 'iso' }],
    }),
  json: z
    .strictObject({
      fields: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .meta({
          description: 'Only these fields, in this order',
          applies: 'restart',
          examples: [['level', 'msg']],
        }),
      message: z
        .string()
        .min(1)
        .optional()
        .meta({ description: 'This field alone, as text', applies: 'restart', examples: ['msg'] }),
    })
    .refine(
      ({ fields, message }) => (fields === undefined) !== (message === undefined),
      'must have exactly one of fields and message',
    )
    .optional()
    .meta({
      description: 'What of lines of JSON is shipped; other lines are shipped as they are',
      applies: 'restart',
      examples: [{ fields: ['level', 'msg'] }],
    }),
  coordinates: z
    .literal(true)
    .optional()
    .meta({
      description:
        'With files: events that are JSON objects say in a member gatehouse where they stand (hostId, source, generation, offset), by which duplicates can be removed',
      applies: 'restart',
      examples: [true],
    }),
};

export const transformNames = [
  'container',
  'multiline',
  'filter',
  'timestamp',
  'json',
  'coordinates',
] as const satisfies readonly (keyof typeof transformKeys)[];

const transformConfig = z.strictObject(transformKeys);
export type TransformConfig = z.output<typeof transformConfig>;
