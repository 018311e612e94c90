import { z } from 'zod';
import { roleKeys } from '../base/role-config.ts';
import { type NameKind, templateProblem } from './template.ts';

function template(kind: NameKind) {
  return z.string().superRefine((value, context) => {
    const message = templateProblem(kind, value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

export const logGroup = template('logGroup');
export const logStream = template('logStream');

/** The values that PutRetentionPolicy takes, in days. */
const retentionDays = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const;

/** What a log group gets that this agent creates. */
export const groupKeys = {
  createLogGroup: z
    .boolean()
    .default(true)
    .meta({ description: 'Create a log group that is missing', applies: 'restart', examples: [true] }),
  retentionDays: z
    .literal(retentionDays)
    .optional()
    .meta({
      description: 'How long a log group that this agent creates keeps events; for ever when absent',
      applies: 'restart',
      unit: 'days',
      examples: [30],
    }),
  logGroupClass: z
    .enum(['STANDARD', 'INFREQUENT_ACCESS'])
    .optional()
    .meta({
      description: 'Class of log groups that this agent creates; it cannot be changed afterwards',
      applies: 'restart',
      examples: ['INFREQUENT_ACCESS'],
    }),
  logGroupKey: z
    .string()
    .regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/u, 'must be the ARN of a KMS key')
    .optional()
    .meta({
      description: 'KMS key of log groups that this agent creates',
      applies: 'restart',
      examples: ['arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c'],
    }),
  logGroupTags: z
    .record(z.string().min(1).max(128), z.string().max(256))
    .refine((tags) => Object.keys(tags).length <= 50, 'must have at most 50 tags')
    .optional()
    .meta({
      description: 'Tags of log groups that this agent creates; needs logs:TagResource',
      applies: 'restart',
      examples: [{ team: 'web' }],
    }),
};

/** Under which role events are sent; `what` is sent with it. */
export function senderKeys(what: string) {
  return roleKeys({
    what: `sends ${what}`,
    forWhat: 'log groups of other accounts',
    example: 'arn:aws:iam::210987654321:role/gatehouse-logs',
    applies: 'restart',
  });
}

/** Where one source goes. */
export const sourceNames = {
  logGroup: logGroup.optional().meta({
    description: 'Log group of this source instead of events.logGroup',
    applies: 'restart',
    examples: ['/app/{name}'],
  }),
  logStream: logStream.optional().meta({
    description: 'Log stream of this source instead of events.logStream',
    applies: 'restart',
    examples: ['{hostname}/{file}'],
  }),
  streamsMax: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .meta({
      description:
        'Most streams that fields of events name, with {field.NAME} in logStream; 100 when absent. What would go to more goes where events without the field go',
      applies: 'restart',
      unit: 'streams',
      examples: [100],
    }),
};
