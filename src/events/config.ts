import { z } from 'zod';
import { isLoopbackAddress } from '../base/local-address.ts';
import { isAbsolutePath } from '../base/path-rules.ts';
import { externalIdPattern, roleArnPattern, roleSessionNamePattern } from '../base/role.ts';
import { overflowPolicies } from './overflow.ts';
import { parseAddress } from './source/address.ts';
import { encodings } from './source/encodings.ts';
import { fieldsOf, type NameKind, templateProblem } from './template.ts';
import { transformKeys, transformNames } from './transform/config.ts';
import { redactionPatternProblem } from './transform/pattern.ts';

const mebibyte = 2 ** 20;
const compressions = ['none', 'gzip'] as const;
const spoolModes = ['always', 'when-needed'] as const;
const nameRule = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;
/** All of them together are one automaton. */
const redactionPatternsMax = 50;

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
  .refine(isAbsolutePath, 'must be an absolute path')
  .refine((path) => !path.split('/').includes('..'), 'must not contain ..');

const embeddedMetrics = z
  .literal(true)
  .optional()
  .meta({
    description:
      'Events may have metrics in them, in the embedded metric format; they are sent with its header',
    applies: 'restart',
    examples: [true],
  });

/** Under which role events are sent; `what` is sent with it. */
function roleKeys(what: string) {
  return {
    roleArn: z
      .string()
      .regex(roleArnPattern, 'must look like arn:aws:iam::ACCOUNT:role/NAME')
      .optional()
      .meta({
        description: `A role that sends ${what}, assumed with the host's own: for log groups of other accounts. allow.assumeRoles of the bootstrap config must permit it.`,
        applies: 'restart',
        examples: ['arn:aws:iam::210987654321:role/gatehouse-logs'],
      }),
    externalId: z
      .string()
      .regex(externalIdPattern, 'must be 2 to 1224 of the characters that AWS STS takes')
      .optional()
      .meta({ description: "What the role's trust policy asks for as external id.", applies: 'restart' }),
    sessionName: z
      .string()
      .regex(roleSessionNamePattern, 'must be 2 to 64 of the characters that AWS STS takes')
      .optional()
      .meta({
        description: "The session's name in CloudTrail. Default: gatehouse- and the host's name.",
        applies: 'restart',
      }),
  };
}

interface RoleKeys {
  readonly roleArn?: string | undefined;
  readonly externalId?: string | undefined;
  readonly sessionName?: string | undefined;
}

function isWholeRole({ roleArn, externalId, sessionName }: RoleKeys): boolean {
  return roleArn !== undefined || (externalId ?? sessionName) === undefined;
}

const roleMissing = { path: ['roleArn'], message: 'is missing: externalId and sessionName are for it' };

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

const loopbackOrSocket = z.string().refine((text) => {
  const address = parseAddress(text);
  return address?.kind === 'unix' || (address?.kind === 'port' && isLoopbackAddress(address.host));
}, 'must be a loopback address with a port, as 127.0.0.1:8125 or [::1]:8125, or the absolute path of a unix socket');

const hostAddress = z
  .string()
  .refine(
    (text) => parseAddress(text)?.kind === 'port',
    'must be an address of this host with a port, as 0.0.0.0:514',
  );

const mode = z
  .string()
  .regex(/^0[0-7]{3}$/u, 'must be four octal digits, as 0660')
  .default('0600')
  .meta({ description: 'Mode of the unix socket', applies: 'restart', examples: ['0666'] });

const pemFile = z.string().refine(isAbsolutePath, 'must be an absolute path');

const journald = z
  .strictObject({
    units: z
      .array(z.string().regex(/^[A-Za-z0-9:_.\\@*?-]{1,255}$/u, 'must be the name of a unit'))
      .min(1)
      .optional()
      .meta({ description: 'Only these units', applies: 'restart', examples: [['nginx.service']] }),
    identifiers: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .meta({ description: 'Only these syslog identifiers', applies: 'restart', examples: [['sshd']] }),
    priority: z
      .enum(['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'])
      .optional()
      .meta({ description: 'The least severe that is shipped', applies: 'restart', examples: ['notice'] }),
    directory: z
      .string()
      .refine(isAbsolutePath, 'must be an absolute path')
      .optional()
      .meta({
        description: "A folder of journal files, under allow.readFrom, instead of this host's journal",
        applies: 'restart',
        examples: ['/var/log/journal/remote'],
      }),
    since: z
      .enum(['now', 'boot', 'oldest'])
      .default('boot')
      .meta({
        description: 'Where reading starts the first time: now, with this boot, or with the oldest entry',
        applies: 'restart',
        examples: ['oldest'],
      }),
    fields: z
      .array(z.string().regex(/^_{0,2}[A-Z0-9][A-Z0-9_]{0,63}$/u, 'must be the name of a journal field'))
      .min(1)
      .default(['MESSAGE', 'PRIORITY', 'SYSLOG_IDENTIFIER', '_SYSTEMD_UNIT', '_PID'])
      .meta({
        description: 'Fields of an event: several are JSON, one alone is the text of the event',
        applies: 'restart',
        examples: [['MESSAGE']],
      }),
  })
  .meta({
    description: 'Ship the systemd journal',
    applies: 'restart',
    examples: [{ units: ['nginx.service'] }],
  });

const syslog = z
  .strictObject({
    udp: hostAddress
      .optional()
      .meta({ description: 'Address for syslog by UDP', applies: 'restart', examples: ['127.0.0.1:514'] }),
    tcp: hostAddress
      .optional()
      .meta({ description: 'Address for syslog by TCP', applies: 'restart', examples: ['127.0.0.1:601'] }),
    tls: z
      .strictObject({
        address: hostAddress.meta({ description: 'Address', applies: 'restart', examples: ['0.0.0.0:6514'] }),
        certificate: pemFile.meta({
          description: 'PEM file with the certificate and its chain',
          applies: 'restart',
          examples: ['/etc/gatehouse/syslog/certificate.pem'],
        }),
        privateKey: pemFile.meta({
          description: 'PEM file with its key',
          applies: 'restart',
          examples: ['/etc/gatehouse/syslog/private-key.pem'],
        }),
        clientAuthorities: pemFile.optional().meta({
          description: 'PEM file of authorities: clients then need a certificate of one of them',
          applies: 'restart',
          examples: ['/etc/gatehouse/syslog/clients.pem'],
        }),
      })
      .optional()
      .meta({ description: 'Syslog by TLS', applies: 'restart' }),
    socket: z
      .string()
      .refine(isAbsolutePath, 'must be an absolute path')
      .optional()
      .meta({
        description: 'Path of a unix stream socket, below allow.deliverTo',
        applies: 'restart',
        examples: ['/run/gatehouse/syslog.sock'],
      }),
    mode,
    format: z
      .enum(['json', 'raw'])
      .default('json')
      .meta({
        description: 'The parts of a message as JSON, or the message as it came',
        applies: 'restart',
        examples: ['raw'],
      }),
  })
  .refine(
    ({ udp, tcp, tls, socket }) => [udp, tcp, tls, socket].some((each) => each !== undefined),
    'must have at least one of udp, tcp, tls and socket',
  )
  .meta({
    description: 'Receive syslog, RFC 5424 and 3164',
    applies: 'restart',
    examples: [{ udp: '127.0.0.1:514', tcp: '127.0.0.1:601' }],
  });

const http = z
  .strictObject({
    listen: loopbackOrSocket.meta({
      description: 'A loopback address with a port, or the path of a unix socket below allow.deliverTo',
      applies: 'restart',
      examples: ['/run/gatehouse/events.sock'],
    }),
    mode,
  })
  .meta({
    description: 'Receive lines and JSON by HTTP; a request is answered when its events are durable',
    applies: 'restart',
    examples: [{ listen: '127.0.0.1:8125' }],
  });

const kinds = ['files', 'journald', 'syslog', 'stdin', 'http', 'exec', 'audit'] as const;

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
    journald: journald.optional(),
    syslog: syslog.optional(),
    stdin: z
      .literal(true)
      .optional()
      .meta({
        description: 'Ship the lines of standard input; one source can',
        applies: 'restart',
        examples: [true],
      }),
    http: http.optional(),
    exec: z
      .literal(true)
      .optional()
      .meta({
        description:
          'Ship what the command of gatehouse exec writes to stdout and stderr, {file} in a name; one source can. Without that command it has nothing to ship',
        applies: 'restart',
        examples: [true],
      }),
    audit: z
      .literal(true)
      .optional()
      .meta({ description: "Ship the agent's own audit records", applies: 'restart', examples: [true] }),
    ...transformKeys,
    embeddedMetrics,
    ...names,
    ...roleKeys('this source, instead of that of events'),
  })
  .refine(isWholeRole, roleMissing)
  .superRefine((source, context) => {
    if (kinds.filter((kind) => source[kind] !== undefined).length !== 1) {
      context.addIssue({ code: 'custom', message: `must have exactly one of ${kinds.join(', ')}` });
    }
    for (const key of transformNames) {
      if (source.audit !== undefined && source[key] !== undefined) {
        context.addIssue({
          code: 'custom',
          path: [key],
          message: 'does not go with audit: its records stay as they are',
        });
      }
    }
    for (const key of ['exclude', 'encoding', 'coordinates'] as const) {
      if (source.files === undefined && source[key] !== undefined) {
        context.addIssue({ code: 'custom', path: [key], message: 'goes with files only' });
      }
    }
  });

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
  ...roleKeys('all events but those of sources with a role of their own'),
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
  compression: z
    .enum(compressions)
    .default('none')
    .meta({
      description:
        'What is done to events before they are sent: gzip (level 1) sends about a fifth of the bytes of usual logs, for more CPU',
      applies: 'restart',
      examples: ['gzip'],
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
      mode: z
        .enum(spoolModes)
        .default('always')
        .meta({
          description:
            'always: what was read is on the disk before its place is remembered. when-needed: events of files and journald are held in memory while they are acknowledged within two seconds, and spooled when they are late or at risk: less CPU, and lines are lost where the agent is killed and their file is gone before it starts again',
          applies: 'restart',
          examples: ['when-needed'],
        }),
      whenFull: z
        .enum(overflowPolicies)
        .default('pause')
        .meta({
          description:
            'What happens at bytesMax: pause (sources wait, files on the disk where they are), drop-oldest or drop-newest (events are lost, counted and audited)',
          applies: 'restart',
          examples: ['pause'],
        }),
      ageMaxDays: z
        .int()
        .min(1)
        .max(14)
        .default(14)
        .meta({
          description:
            'What has waited for longer goes to the dead letter: at 14 days CloudWatch Logs takes nothing of it any more',
          applies: 'restart',
          unit: 'days',
          examples: [14],
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
  deadLetter: z
    .strictObject({
      bytesMax: z
        .int()
        .min(4 * mebibyte)
        .default(16 * mebibyte)
        .meta({
          description: 'Most bytes of refused events that are kept; beyond that the oldest are lost, audited',
          applies: 'restart',
          unit: 'bytes',
          examples: [16777216],
        }),
    })
    .prefault({})
    .meta({ description: 'Events that CloudWatch Logs refused, with the reason', applies: 'restart' }),
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
      patterns: z
        .record(
          z.string().regex(nameRule, 'must be a name: letters, digits, . _ -'),
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
    .meta({ description: 'What is taken out of lines before anything is spooled', applies: 'restart' }),
  sources: z
    .record(z.string().regex(nameRule, 'must be a name: letters, digits, . _ -'), sourceConfig)
    .default({})
    .meta({
      description: `What to ship, by name; a source says what it is by its key: ${kinds.join(', ')}`,
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
