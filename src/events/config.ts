import { z } from 'zod';
import { isWholeRole, roleMissing } from '../base/role-config.ts';
import { groupKeys, logGroup, logStream, senderKeys } from './destination-config.ts';
import { entryName } from './entry-name.ts';
import { redactionConfig } from './redaction/config.ts';
import { sourceConfig, sourceKinds } from './source/config.ts';
import { deadLetterConfig, spoolConfig } from './spool/config.ts';
import { fieldsOf } from './template.ts';

const compressions = ['none', 'gzip'] as const;

const eventsKeys = z.strictObject({
  logGroup: logGroup.default('/gatehouse/{name}').meta({
    description:
      'Log group, with {name} {hostId} {source} {instanceId} {accountId} {region} {hostname} {file}',
    applies: 'restart',
    examples: ['/gatehouse/{name}'],
  }),
  logStream: logStream.default('{source}').meta({
    description:
      'Log stream, with the same placeholders and {field.NAME}, a field of events that are JSON: of a source other than audit',
    applies: 'restart',
    examples: ['{source}'],
  }),
  ...senderKeys('all events but those of sources with a role of their own'),
  ...groupKeys,
  compression: z
    .enum(compressions)
    .default('none')
    .meta({
      description:
        'What is done to events before they are sent: gzip (level 1) sends about a fifth of the bytes of usual logs, for more CPU',
      applies: 'restart',
      examples: ['gzip'],
    }),
  spool: spoolConfig,
  deadLetter: deadLetterConfig,
  redaction: redactionConfig,
  sources: z
    .record(entryName, sourceConfig)
    .default({})
    .meta({
      description: `What to ship, by name; a source says what it is by its key: ${sourceKinds.join(', ')}`,
      applies: 'restart',
      examples: [{ app: { files: ['/var/log/app/*.log'] }, agent: { audit: true } }],
    }),
});

/** What ships: `events` of the gateway config. */
export const eventsConfig = eventsKeys.refine(isWholeRole, roleMissing).superRefine((config, context) => {
  if (config.spool.mode === 'when-needed' && config.spool.whenFull !== 'pause') {
    // A batch that was held has to find room in its turn; where others are dropped for room, it would hold up the rest.
    const message = 'must be always where whenFull drops events: what can be read again waits where it is';
    context.addIssue({ code: 'custom', path: ['spool', 'mode'], message });
  }
  for (const [name, source] of Object.entries(config.sources)) {
    const problem = fieldsProblem(source, config);
    if (problem === undefined) continue;
    context.addIssue({ code: 'custom', path: ['sources', name, 'logStream'], message: problem });
  }
});

/** What is wrong with fields of events in the name of a source's stream. */
function fieldsProblem(
  source: SourceConfig,
  events: Pick<EventsConfig, 'logStream' | 'spool'>,
): string | undefined {
  if (fieldsOf(source.logStream ?? events.logStream).length === 0) {
    return source.streamsMax === undefined
      ? undefined
      : 'must have a {field.…} for streamsMax to mean anything';
  }
  if (source.audit !== undefined) return 'must have no {field.…}: the chain of an audit is in one stream';
  return source.http !== undefined && events.spool.whenFull === 'drop-oldest'
    ? 'must have no {field.…} with http and drop-oldest: what HTTP answered for is not dropped'
    : undefined;
}

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

export type EventsConfig = z.output<typeof eventsKeys>;

export type SourceConfig = EventsConfig['sources'][string];
