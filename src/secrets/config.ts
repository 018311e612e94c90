import { z } from 'zod';

const secretsMax = 500;

/** How secrets are named everywhere: in configs, contexts, logs and file names. */
export const secretNamePattern = /^[A-Za-z0-9._-]{1,128}$/u;

const secretsManagerConfig = z
  .strictObject({
    secretId: z
      .string()
      .min(1)
      .max(2048)
      .meta({ description: 'Name or ARN of the secret.', applies: 'live', examples: ['prod/database'] }),
    jsonField: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .meta({
        description:
          'Takes this field of a JSON SecretString instead of the whole value. It must be a string, a number or a boolean.',
        applies: 'live',
        examples: ['password'],
      }),
    versionStage: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .meta({
        description: 'The staging label to read; AWSCURRENT where neither label nor id is given.',
        applies: 'live',
        examples: ['AWSCURRENT'],
      }),
    versionId: z
      .string()
      .min(32)
      .max(64)
      .optional()
      .meta({ description: 'Pins one version by its id.', applies: 'live' }),
  })
  .meta({ description: 'Reads the secret from AWS Secrets Manager.', applies: 'live' });

const secretConfig = z
  .strictObject({
    secretsManager: secretsManagerConfig.optional(),
    sealedFile: z
      .string()
      .regex(
        /^\/(?!.*\/\.{1,2}(?:\/|$))[^\0]*[^/\0]$/u,
        'expected the absolute path of a file, without . or ..',
      )
      .max(4095)
      .optional()
      .meta({
        description: 'Opens this sealed file, made by gatehouse seal.',
        applies: 'live',
        examples: ['/etc/gatehouse/sealed/tls-key.sealed'],
      }),
  })
  .refine((secret) => (secret.secretsManager === undefined) !== (secret.sealedFile === undefined), {
    error: 'expected exactly one of secretsManager and sealedFile',
  })
  .meta({ description: 'Where one secret is.', applies: 'live' });

/** The `secrets` section of the gateway config: name → where the secret is. */
export const secretsConfig = z
  .record(z.string().regex(secretNamePattern, 'expected 1 to 128 of A-Z a-z 0-9 . _ -'), secretConfig)
  .refine((secrets) => Object.keys(secrets).length <= secretsMax, {
    error: `expected at most ${secretsMax} secrets`,
  })
  .meta({
    description: 'The secrets of this host by name. Never a value, only where it is.',
    applies: 'live',
    examples: [
      {
        'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
        'tls-key': { sealedFile: '/etc/gatehouse/sealed/tls-key.sealed' },
      },
    ],
  });

export type SecretsConfig = z.infer<typeof secretsConfig>;
