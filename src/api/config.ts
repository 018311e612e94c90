import { z } from 'zod';
import { isPlainAbsolutePath } from '../base/path-rules.ts';
import { chainedSessionSeconds } from '../base/role.ts';
import { awsRoleArn, stsExternalId, stsSessionName } from '../base/role-config.ts';
import { parseLoopbackAddress } from './loopback-address.ts';

/** `monitoring` of the bootstrap config: the operator's, for it opens something to every local user. */
export const monitoringConfig = z
  .strictObject({
    listen: z
      .string()
      .refine(
        (text) => parseLoopbackAddress(text) !== undefined,
        'expected a loopback IP address and a port, such as 127.0.0.1:9464 or [::1]:9464',
      )
      .optional()
      .meta({
        description:
          'Loopback address and port where health and metrics are served over HTTP, to every local user. Without ' +
          'it they are on control.sock alone. Port 0 takes a free one, which log and status tell.',
        applies: 'restart',
        examples: ['127.0.0.1:9464'],
      }),
  })
  .prefault({})
  .meta({ description: 'Who may look at the agent from outside.', applies: 'restart' });

const consumersMax = 200;
const ownerPattern = /^(?:[A-Za-z_][A-Za-z0-9_.@-]{0,63}\$?|\d{1,10})$/u;

/** A name that can be a file's, a path segment's and a part of a role session's name. */
const consumerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,47}$/u, 'expected lower-case letters, digits, ".", "_" and "-", at most 48');

/** Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const sessionPolicyCharactersMax = 2048;

/** 0 has the system choose: for tests, since the consumer must be told. */
const port = z.int().min(0).max(65_535);

function ownerOf(what: string) {
  return {
    owner: z
      .string()
      .regex(ownerPattern, 'expected a user name or number')
      .optional()
      .meta({
        description: `User who owns the ${what}, by name or number; the user of the agent where not given.`,
        applies: 'live',
        examples: ['app'],
      }),
    group: z
      .string()
      .regex(ownerPattern, 'expected a group name or number')
      .optional()
      .meta({
        description: `Group of the ${what}, by name or number; the group of the agent where not given.`,
        applies: 'live',
        examples: ['app'],
      }),
  };
}

function modeOf(what: string, usable: number, modeDefault: string) {
  return z
    .string()
    .regex(/^0?[0-7]{3}$/u, `expected an octal mode such as "${modeDefault}"`)
    .refine((mode) => (Number.parseInt(mode, 8) & 0o007) === 0, {
      error: 'credentials are never open to all users: the last digit of mode must be 0',
    })
    .refine((mode) => (Number.parseInt(mode, 8) & usable) !== 0, {
      error: `neither owner nor group could use the ${what}`,
    })
    .default(modeDefault)
    .meta({
      description: `Octal permission bits of the ${what}.`,
      applies: 'live',
      examples: [modeDefault],
    });
}

const tokenFileConfig = z.strictObject({
  path: z
    .string()
    .max(4095)
    .refine(isPlainAbsolutePath, 'expected the absolute path of a file, without //, . or ..')
    .meta({
      description:
        'The file that holds the token, on tmpfs, in a directory that allow.deliverTo of the bootstrap config permits. The consumer finds it through AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE.',
      applies: 'live',
      examples: ['/run/gatehouse/tokens/app'],
    }),
  ...ownerOf('file'),
  mode: modeOf('file', 0o440, '0400'),
});

const socketConfig = z.strictObject({
  ...ownerOf('socket'),
  mode: modeOf('socket', 0o220, '0600'),
});

const consumerConfig = z
  .strictObject({
    roleArn: awsRoleArn.optional().meta({
      description:
        "Role that is assumed for this consumer with the host's credentials; one that allow.consumerRoles of the bootstrap config permits.",
      applies: 'live',
      examples: ['arn:aws:iam::123456789012:role/app'],
    }),
    externalId: stsExternalId.optional().meta({
      description: 'External id that the trust policy of the role asks for.',
      applies: 'live',
      examples: ['gatehouse-7f3a'],
    }),
    sessionName: stsSessionName.optional().meta({
      description:
        'Name of the session, in CloudTrail with every call. Default: the names of consumer and host, joined by "@".',
      applies: 'live',
      examples: ['app@web-1'],
    }),
    sessionPolicy: z
      .record(z.string(), z.unknown())
      .refine((policy) => JSON.stringify(policy).length <= sessionPolicyCharactersMax, {
        error: `a session policy has at most ${sessionPolicyCharactersMax} characters as JSON without spaces`,
      })
      .optional()
      .meta({
        description:
          "Policy document that narrows what the session may do. Without roleArn it narrows the host's own role, whose trust policy must then let the host assume it.",
        applies: 'live',
        examples: [
          {
            Version: '2012-10-17',
            Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::app-data/*' }],
          },
        ],
      }),
    durationSeconds: z
      .int()
      .min(chainedSessionSeconds.min)
      .max(chainedSessionSeconds.max)
      .default(chainedSessionSeconds.max)
      .meta({
        description: 'How long one set of credentials lasts; AWS allows a chained role one hour.',
        applies: 'live',
        unit: 'seconds',
      }),
    allowHostRole: z.boolean().default(false).meta({
      description:
        "Hands out the host's own credentials, where neither roleArn nor sessionPolicy is given. Whoever has them can read every secret of this host itself.",
      applies: 'live',
    }),
    tokenFile: tokenFileConfig.optional().meta({
      description: 'Lets the consumer ask the container endpoint: where its token is put.',
      applies: 'live',
    }),
    socket: socketConfig.optional().meta({
      description:
        'Lets the consumer ask over consumers/NAME.sock in the runtime directory, which only its owner and group can open.',
      applies: 'live',
    }),
    metadataPort: port.optional().meta({
      description:
        'Lets every local user ask for these credentials as from EC2 instance metadata, at this port of 127.0.0.1, which allow.listenPorts of the bootstrap config must permit.',
      applies: 'live',
      examples: [9911],
    }),
  })
  .superRefine((consumer, context) => {
    const { roleArn, sessionPolicy, allowHostRole, externalId, tokenFile, socket, metadataPort } = consumer;
    const isNarrowed = roleArn !== undefined || sessionPolicy !== undefined;
    if (isNarrowed === allowHostRole) {
      context.addIssue({
        code: 'custom',
        message: 'must have roleArn, sessionPolicy or both, or else allowHostRole',
      });
    }
    if (externalId !== undefined && roleArn === undefined) {
      context.addIssue({ code: 'custom', path: ['externalId'], message: 'goes with roleArn only' });
    }
    if (tokenFile === undefined && socket === undefined && metadataPort === undefined) {
      context.addIssue({
        code: 'custom',
        message: 'must have at least one of tokenFile, socket and metadataPort',
      });
    }
  });

/** The `credentialEndpoints` section of the gateway config. */
export const credentialEndpointsConfig = z
  .strictObject({
    containerPort: port.optional().meta({
      description:
        'Port of 127.0.0.1 of the container endpoint, one for all consumers that have a tokenFile; one that allow.listenPorts of the bootstrap config permits.',
      applies: 'live',
      examples: [9912],
    }),
    consumers: z
      .record(consumerName, consumerConfig)
      .refine((consumers) => Object.keys(consumers).length <= consumersMax, {
        error: `expected at most ${consumersMax} consumers`,
      })
      .default({})
      .meta({
        description: 'Programs of this host that get AWS credentials, by name, and how each gets them.',
        applies: 'live',
        examples: [
          {
            app: {
              roleArn: 'arn:aws:iam::123456789012:role/app',
              tokenFile: { path: '/run/gatehouse/tokens/app', owner: 'app', mode: '0400' },
            },
          },
        ],
      }),
  })
  .superRefine(({ containerPort, consumers }, context) => {
    const withToken = Object.keys(consumers).filter((name) => consumers[name]?.tokenFile !== undefined);
    if (withToken.length > 0 && containerPort === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['containerPort'],
        message: 'is missing: a consumer with a tokenFile asks there',
      });
    }
  });

export type CredentialEndpointsConfig = z.output<typeof credentialEndpointsConfig>;
export type ConsumerConfig = CredentialEndpointsConfig['consumers'][string];
