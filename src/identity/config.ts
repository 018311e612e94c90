import { z } from 'zod';
import { awsRoleArn } from '../base/role-config.ts';

const partition = 'aws[a-z-]{0,20}';
const region = '[a-z]{2}[a-z0-9-]{3,30}';

/** Without control characters; without the flag u, for these patterns are published in the JSON Schema, whose readers set none. */
const path = z
  .string()
  .max(4096)
  .regex(/^\/[ -~\u00a0-\uffff]+$/, 'must be an absolute path');

/** A file, or a key or certificate in a PKCS#11 token. */
const pathOrToken = z
  .string()
  .max(4096)
  .regex(/^(?:\/[ -~\u00a0-\uffff]+|pkcs11:[!-~]+)$/, 'must be an absolute path or a pkcs11: URI')
  .regex(/^(?!pkcs11:(?:.*[;?&])?[Pp][Ii][Nn]-)/, 'must hold no PIN: privateKeyPassword says where it is');

function rolesAnywhereArn(kind: 'trust-anchor' | 'profile') {
  const shape = new RegExp(
    `^arn:${partition}:rolesanywhere:${region}:\\d{12}:${kind}/[A-Za-z0-9-]{1,64}$`,
    'u',
  );
  return z
    .string()
    .regex(shape, `must look like arn:aws:rolesanywhere:REGION:ACCOUNT:${kind}/ID`)
    .meta({
      description: `ARN of the Roles Anywhere ${kind.replace('-', ' ')}.`,
      applies: 'restart',
      examples: [`arn:aws:rolesanywhere:eu-west-1:123456789012:${kind}/0f9f4d1c-5a9a-4b5e-9d0e-2f6f0c9f8a11`],
    });
}

const rolesAnywhereConfig = z
  .strictObject({
    trustAnchorArn: rolesAnywhereArn('trust-anchor'),
    profileArn: rolesAnywhereArn('profile'),
    roleArn: awsRoleArn.meta({
      description: 'ARN of the role this host assumes.',
      applies: 'restart',
      examples: ['arn:aws:iam::123456789012:role/GatehouseHost'],
    }),
    certificate: pathOrToken.meta({
      description:
        "Path of this host's certificate, PEM, DER or PKCS#12; intermediates may follow in the same file. Read at each renewal.",
      applies: 'live',
      examples: ['/etc/gatehouse/identity/certificate.pem'],
    }),
    privateKey: pathOrToken.meta({
      description:
        "Path of the certificate's private key, PEM or DER, in PKCS#8 (also encrypted), PKCS#1 or SEC1, or PKCS#12: RSA or EC, and ML-DSA as an experiment. Read at each renewal.",
      applies: 'live',
      examples: ['/etc/gatehouse/identity/private-key.pem'],
    }),
    privateKeyPassword: z
      .string()
      .max(4096)
      .regex(
        /^(?:\/[ -~\u00a0-\uffff]+|[\w.-]+)$/,
        'must be an absolute path or the name of a systemd credential',
      )
      .optional()
      .meta({
        description:
          'What opens an encrypted private key or a PKCS#12 file: a file with the password in its first line, or the name of a systemd credential.',
        applies: 'live',
        examples: ['private-key-password'],
      }),
    intermediates: path.optional().meta({
      description: 'Path of the certificates between this host and the trust anchor, PEM, in any order.',
      applies: 'live',
      examples: ['/etc/gatehouse/identity/intermediates.pem'],
    }),
    sessionDurationSeconds: z.int().min(900).max(43_200).default(3600).meta({
      description: "How long one set of credentials lasts; at most the role's own maximum.",
      applies: 'restart',
      unit: 'seconds',
    }),
    pkcs11Module: path.optional().meta({
      description: "The module of the token's maker, where certificate or key is a pkcs11: URI.",
      applies: 'restart',
      examples: ['/usr/lib/softhsm/libsofthsm2.so'],
    }),
    roleSessionName: z
      .string()
      .regex(/^[\w+=,.@-]{2,64}$/u, 'must be 2 to 64 letters, digits and _ + = , . @ -')
      .optional()
      .meta({
        description:
          "Name of the sessions; the certificate's serial number in hex without it. The profile must accept session names.",
        applies: 'restart',
        examples: ['web-1'],
      }),
    renewCommand: z
      .array(z.string().min(1).max(4096))
      .min(1)
      .max(64)
      .refine(([program = '']) => /^(?:\/[ -~\u00a0-\uffff]+|[\w.-]+)$/.test(program), {
        message: 'must begin with an absolute path or a bare program name',
      })
      .optional()
      .meta({
        description:
          'A program and its arguments, run without a shell when a third of the life of the certificate is left, that puts a new certificate (and key) into these files.',
        applies: 'restart',
        examples: [
          [
            '/usr/bin/step',
            'ca',
            'renew',
            '--force',
            '/etc/gatehouse/identity/certificate.pem',
            '/etc/gatehouse/identity/private-key.pem',
          ],
        ],
      }),
    helper: z
      .string()
      .max(4096)
      .regex(/^(?:\/[ -~\u00a0-\uffff]+|[\w.-]+)$/, 'must be an absolute path or a bare program name')
      .optional()
      .meta({
        description:
          "An external signing helper, AWS's aws_signing_helper, to sign instead of Gatehouse: an absolute path, or a name.",
        applies: 'restart',
        examples: ['/usr/local/bin/aws_signing_helper'],
      }),
  })
  .refine((config) => regionOf(config.trustAnchorArn) === regionOf(config.profileArn), {
    path: ['profileArn'],
    message: 'must be in the same region as trustAnchorArn',
  })
  .refine((config) => config.helper === undefined || config.privateKeyPassword === undefined, {
    path: ['privateKeyPassword'],
    message: 'cannot be given to a helper, which takes passwords on its command line only',
  });

export const credentialsConfig = z
  .strictObject({
    source: z
      .enum([
        'auto',
        'environment',
        'profile',
        'web-identity',
        'roles-anywhere',
        'container',
        'instance-role',
      ])
      .default('auto')
      .meta({
        description:
          'Where AWS credentials come from. `auto` takes the first that applies: environment, profile, web-identity, roles-anywhere if configured, container, instance-role.',
        applies: 'restart',
        examples: ['auto'],
      }),
    rolesAnywhere: rolesAnywhereConfig.optional().meta({
      description: 'IAM Roles Anywhere: credentials for an X.509 certificate.',
      applies: 'restart',
    }),
    expectAccountId: z
      .string()
      .regex(/^\d{12}$/u, 'must be 12 digits')
      .optional()
      .meta({
        description:
          'The AWS account this host belongs to. Credentials of another one are refused at the start, after asking AWS STS whose they are.',
        applies: 'restart',
        examples: ['123456789012'],
      }),
    expectRoleName: z
      .string()
      .regex(/^[\w+=,.@-]{1,64}$/u, 'must be the name of a role, without its ARN and path')
      .optional()
      .meta({
        description:
          'The role this host has. Credentials of another one, or of no role, are refused at the start, after asking AWS STS whose they are.',
        applies: 'restart',
        examples: ['GatehouseHost'],
      }),
  })
  .refine((config) => config.source !== 'roles-anywhere' || config.rolesAnywhere !== undefined, {
    path: ['rolesAnywhere'],
    message: 'is required when source is roles-anywhere',
  });

export type CredentialsConfig = z.output<typeof credentialsConfig>;
export type RolesAnywhereConfig = z.output<typeof rolesAnywhereConfig>;

/** The region that an ARN names. */
function regionOf(arn: string): string | undefined {
  return arn.split(':')[3];
}
