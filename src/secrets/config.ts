import { z } from 'zod';
import { isPlainAbsolutePath } from '../base/path-rules.ts';
import { isWholeRole, roleKeys, roleMissing } from '../base/role-config.ts';
import { secretNamePattern } from '../base/secret-name.ts';

const secretsMax = 2_000;

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
    ...roleKeys({
      what: 'reads this secret',
      forWhat: 'secrets of other accounts',
      example: 'arn:aws:iam::210987654321:role/gatehouse-reader',
      applies: 'live',
    }),
  })
  .refine(isWholeRole, roleMissing)
  .meta({ description: 'Reads the secret from AWS Secrets Manager.', applies: 'live' });

/** Every source of secrets: one key for each, with the place of a secret in that source's own terms. */
const places = {
  secretsManager: secretsManagerConfig.optional(),
  sealedFile: z
    .string()
    .max(4095)
    .refine(isPlainAbsolutePath, 'expected the absolute path of a file, without //, . or ..')
    .optional()
    .meta({
      description: 'Opens this sealed file, made by gatehouse seal.',
      applies: 'live',
      examples: ['/etc/gatehouse/sealed/tls-key.sealed'],
    }),
};

const secretConfig = z
  .strictObject(places)
  .refine((secret) => Object.values(secret).filter((place) => place !== undefined).length === 1, {
    error: `expected exactly one of ${Object.keys(places).join(' and ')}`,
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
export type SecretConfig = SecretsConfig[string];
export type SecretSourceName = keyof SecretConfig;

const isSourceName = (name: string): name is SecretSourceName => Object.hasOwn(places, name);

export const secretSourceNames: readonly SecretSourceName[] = Object.keys(places).filter(isSourceName);

/**
 * The same text for secrets that are read from one value, each perhaps a field of it; undefined where a value is a
 * secret's own.
 */
export function sharedValue({ secretsManager: place }: SecretConfig): string | undefined {
  return place === undefined ? undefined : valueKey(place);
}

/** Which value of which secret, read by whom: whatever field is taken of it. */
export function valueKey(place: NonNullable<SecretConfig['secretsManager']>): string {
  const { secretId, versionId, versionStage = versionId === undefined ? 'AWSCURRENT' : undefined } = place;
  const { roleArn, externalId, sessionName } = place;
  return JSON.stringify([secretId, versionId, versionStage, roleArn, externalId, sessionName]);
}
