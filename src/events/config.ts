import { z } from 'zod';
import { encodings } from './source/encodings.ts';
import { type NameKind, templateProblem } from './template.ts';

const mebibyte = 2 ** 20;

function template(kind: NameKind) {
  return z.string().superRefine((value, context) => {
    const message = templateProblem(kind, value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

const logGroup = template('logGroup');
const logStream = template('logStream');

/** The values that PutRetentionPolicy takes, in days. */
const retentionDays = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const;

const glob = z
  .string()
  .min(1)
  .refine((path) => path.startsWith('/'), 'must be an absolute path')
  .refine((path) => !path.split('/').includes('..'), 'must not contain ..');

const names = {
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
};

const sourceConfig = z
  .strictObject({
    files: z
      .array(glob)
      .min(1)
      .optional()
      .meta({
        description: 'Absolute paths or globs of the files to ship; they must lie under allow.readFrom',
        applies: 'restart',
        examples: [['/var/log/app/*.log']],
      }),
    exclude: z
      .array(glob)
      .optional()
      .meta({
        description: 'With files: globs of files to leave out',
        applies: 'restart',
        examples: [['/var/log/app/*.gz']],
      }),
    encoding: z
      .enum(encodings)
      .optional()
      .meta({
        description:
          'With files: how their bytes are text. auto (when absent): UTF-16 where the byte order mark says so, else UTF-8',
        applies: 'restart',
        examples: ['latin1'],
      }),
    audit: z
      .literal(true)
      .optional()
      .meta({ description: "Ship the agent's own audit records", applies: 'restart', examples: [true] }),
    ...names,
  })
  .superRefine(({ files, audit, ...others }, context) => {
    if ((files === undefined) === (audit === undefined)) {
      context.addIssue({ code: 'custom', message: 'must have exactly one of files and audit' });
    }
    for (const key of ['exclude', 'encoding'] as const) {
      if (files === undefined && others[key] !== undefined) {
        context.addIssue({ code: 'custom', path: [key], message: 'goes with files only' });
      }
    }
  });

/** What ships: `events` of the gateway config. */
export const eventsConfig = z.strictObject({
  logGroup: logGroup.default('/gatehouse/{name}').meta({
    description:
      'Log group, with {name} {hostId} {source} {instanceId} {accountId} {region} {hostname} {file}',
    applies: 'restart',
    examples: ['/gatehouse/{name}'],
  }),
  logStream: logStream.default('{source}').meta({
    description: 'Log stream, with the same placeholders',
    applies: 'restart',
    examples: ['{source}'],
  }),
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
  spool: z
    .strictObject({
      bytesMax: z
        .int()
        .min(8 * mebibyte)
        .default(1024 * mebibyte)
        .meta({
          description: 'Most bytes that wait on this host',
          applies: 'restart',
          unit: 'bytes',
          examples: [1073741824],
        }),
      whenFull: z
        .literal('pause')
        .default('pause')
        .meta({
          description: 'What happens at bytesMax: sources pause, files wait on the disk where they are',
          applies: 'restart',
          examples: ['pause'],
        }),
      allowClearSpool: z
        .boolean()
        .default(false)
        .meta({
          description: 'Keep the spool unencrypted (mode 0600) where there is no keys.bindingKey',
          applies: 'restart',
          examples: [false],
        }),
    })
    .prefault({})
    .meta({ description: 'The durable buffer between sources and CloudWatch Logs', applies: 'restart' }),
  redaction: z
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
    })
    .prefault({})
    .meta({ description: 'What is taken out of lines before anything is spooled', applies: 'restart' }),
  sources: z
    .record(
      z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, 'must be a name: letters, digits, . _ -'),
      sourceConfig,
    )
    .default({})
    .meta({
      description: 'What to ship, by name; a source says what it is by its key: files or audit',
      applies: 'restart',
      examples: [{ app: { files: ['/var/log/app/*.log'] }, agent: { audit: true } }],
    }),
});

/** `audit` of the gateway config. Where its records go is an audit source of `events`. */
export const auditConfig = z
  .strictObject({
    whenFull: z
      .enum(['allow', 'deny'])
      .default('allow')
      .meta({
        description:
          'Whether secrets are read and handed over while audit records cannot be made durable: allow, or deny, which needs an audit source',
        applies: 'restart',
        examples: ['deny'],
      }),
  })
  .meta({ description: 'How much access depends on its record', applies: 'restart' });

export type AuditConfig = z.output<typeof auditConfig>;

export type EventsConfig = z.output<typeof eventsConfig>;
