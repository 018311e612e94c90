import { z } from 'zod';
import { keyArnPattern } from '../base/key-arn.ts';
import { logLevels } from '../base/log-events.ts';
import { isPlainAbsolutePath } from '../base/path-rules.ts';
import { roleArnPattern } from '../base/role.ts';
import { runtimeDirectoryDefault } from '../base/runtime-directory.ts';
import { cronProblem } from './schedule.ts';

/** A five-field cron expression, in UTC. */
const cronExpression = z.string().superRefine((value, context) => {
  const message = cronProblem(value);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});

const absolutePath = z
  .string()
  .refine(isPlainAbsolutePath, 'expected an absolute path below /, without ".", ".." or a slash at its end');

const foldersMax = 64;
const consumerRolesMax = 200;
const listenPortsMax = 200;
const folders = z.array(absolutePath).min(1, 'expected at least one folder').max(foldersMax);

const lastKnownGoodKeysMax = 16;

const stateDirectoryDefault = '/var/lib/gatehouse';

const gatewayConfig = z
  .strictObject({
    secretName: z
      .string()
      .regex(/^[A-Za-z0-9/_+=.@:-]{1,2048}$/u, 'expected the name or ARN of a secret in Secrets Manager')
      .optional()
      .meta({
        description:
          'Name of the secret that holds the gateway config, without the six random characters of its ARN. ' +
          'Also GATEHOUSE_SECRET_NAME and AWS_KMS_SECRET_NAME. Without it the agent refuses to start.',
        applies: 'restart',
        examples: ['prod/gatehouse/web'],
      }),
    versionStage: z
      .string()
      .min(1, 'expected a version stage')
      .max(256, 'expected a version stage of at most 256 characters')
      .default('AWSCURRENT')
      .meta({
        description: 'Which version of the secret to use.',
        applies: 'restart',
        examples: ['AWSCURRENT', 'AWSPENDING'],
      }),
    refreshCron: cronExpression.default('*/5 * * * *').meta({
      description:
        'When the gateway config is read again: five cron fields, in UTC. SIGHUP reads it at once.',
      applies: 'restart',
      examples: ['*/5 * * * *', '0 3 * * *'],
    }),
    lastKnownGood: z
      .strictObject({
        enabled: z.boolean().default(true).meta({
          description:
            'Whether a sealed copy of the gateway config is kept, and started with when Secrets Manager is away. With false one that is there is removed.',
          applies: 'restart',
        }),
        keys: z
          .array(z.string().regex(keyArnPattern, 'expected a KMS key ARN; an alias never opens anything'))
          .max(lastKnownGoodKeysMax)
          .default([])
          .meta({
            description:
              "ARNs of the only KMS keys that may open the copy. Without any: every key of the host's own account, which AWS STS is asked for then.",
            applies: 'restart',
            examples: [['arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c']],
          }),
      })
      .prefault({})
      .meta({
        description: 'The sealed last-known-good copy of the gateway config (docs/last-known-good.md).',
        applies: 'restart',
      }),
  })
  .prefault({})
  .meta({ description: 'Where the gateway config is.', applies: 'restart' });

const assumeRolesMax = 100;

const allow = z
  .strictObject({
    deliverTo: folders.meta({
      description:
        'Folders below which the gateway config may deliver secrets as files. Default: the runtime directory.',
      applies: 'restart',
      examples: [[runtimeDirectoryDefault]],
    }),
    readFrom: folders.default(['/var/log']).meta({
      description: 'Folders below which the gateway config may have files read as event sources.',
      applies: 'restart',
      examples: [['/var/log', '/srv/app/log']],
    }),
    assumeRoles: z
      .array(
        z
          .string()
          .regex(roleArnPattern, 'must look like arn:aws:iam::ACCOUNT:role/NAME, a "*" at its end allowed'),
      )
      .max(assumeRolesMax)
      .default([])
      .meta({
        description:
          'Roles that the gateway config may have this host assume for itself, to read secrets of other accounts: ARNs, in which "*" at the end stands for any rest. None by default.',
        applies: 'restart',
        examples: [['arn:aws:iam::210987654321:role/gatehouse-*']],
      }),
    consumerRoles: z
      .array(
        z
          .string()
          .regex(roleArnPattern, 'must look like arn:aws:iam::ACCOUNT:role/NAME, a "*" at its end allowed'),
      )
      .max(consumerRolesMax)
      .default([])
      .meta({
        description:
          'Roles that the gateway config may have handed to consumers: ARNs, in which "*" at the end stands for any rest. None by default.',
        applies: 'restart',
        examples: [['arn:aws:iam::123456789012:role/app-*']],
      }),
    consumerHostRole: z.boolean().default(false).meta({
      description:
        "Whether the gateway config may hand the host's own role to consumers, whole or under a session policy that it writes itself. Whoever has it can read every secret of this host.",
      applies: 'restart',
    }),
    listenPorts: z
      .array(z.int().min(0).max(65_535))
      .max(listenPortsMax)
      .default([])
      .meta({
        description:
          'Ports of 127.0.0.1 that the gateway config may have opened, each to every local user; 0 permits one that the system chooses. None by default.',
        applies: 'restart',
        examples: [[9911, 9912]],
      }),
  })
  .meta({
    description:
      'What the gateway config may touch on this host. Whoever may write the gateway config must not become root here.',
    applies: 'restart',
  });

/**
 * The keys of the bootstrap config that belong to no other room. `name` and `allow.deliverTo` are required here
 * because `loadBootstrap` fills them in; no key is required of the user.
 */
export const bootstrapConfig = {
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/u, 'expected letters, digits, ".", "_" and "-", at most 128 of them')
    .meta({
      description:
        'Name of this host in log groups, log streams and sealed files. Default: the host name; give one where ' +
        'something is sealed to this host, because host names change.',
      applies: 'restart',
      examples: ['web-1'],
    }),
  region: z
    .string()
    .regex(/^[a-z]{2,8}(?:-[a-z]{2,16}){1,3}-\d{1,2}$/u, 'expected an AWS region such as eu-west-1')
    .optional()
    .meta({
      description: 'AWS region. Where it is not set, AWS_REGION and AWS_DEFAULT_REGION are asked.',
      applies: 'restart',
      examples: ['eu-west-1'],
    }),
  gatewayConfig,
  allow,
  stateDirectory: absolutePath.default(stateDirectoryDefault).meta({
    description:
      'Folder for what must outlive a restart: spool, positions. Default under systemd: STATE_DIRECTORY.',
    applies: 'restart',
    examples: [stateDirectoryDefault],
  }),
  runtimeDirectory: absolutePath.default(runtimeDirectoryDefault).meta({
    description:
      'Folder in memory for sockets and delivered secrets. Default under systemd: RUNTIME_DIRECTORY.',
    applies: 'restart',
    examples: [runtimeDirectoryDefault],
  }),
  stopTimeoutSeconds: z
    .number()
    .int()
    .min(1)
    .max(3600)
    .default(20)
    .meta({
      description:
        'How long a stop may take: intake, drain and close share this time. Below 10 it may take up to two seconds longer, where what was read finds no room in the spool or the disk does not take it.',
      applies: 'restart',
      unit: 'seconds',
      examples: [20],
    }),
  logLevel: z
    .enum(logLevels)
    .default('info')
    .meta({
      description:
        'The least severe log lines to print. gatehouse log-level changes it until the next start, and SIGUSR2 ' +
        'turns debug on and off.',
      applies: 'restart',
      examples: ['info'],
    }),
};

/** The version of the gateway config's form that this program reads. */
export const gatewayVersion = 1;

/** The keys of the gateway config that belong to no other room. */
export const gatewayConfigKeys = {
  version: z.literal(gatewayVersion).meta({
    description: 'Version of the form of this document.',
    applies: 'live',
    examples: [gatewayVersion],
  }),
  schedules: z
    .strictObject({
      refreshSecretsCron: cronExpression.default('*/5 * * * *').meta({
        description: 'When secrets are read again and delivered if they changed: five cron fields, in UTC.',
        applies: 'live',
        examples: ['*/5 * * * *'],
      }),
    })
    .prefault({})
    .meta({ description: 'When recurring work is done.', applies: 'live' }),
};
