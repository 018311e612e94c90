import { z } from 'zod';
import { keyArnPattern } from '../base/key-arn.ts';
import { tableNamePattern } from './registry.ts';

const trustedKeysMax = 16;

/** A KMS key as a person names it: key ARN, alias ARN, `alias/NAME` or a bare key id. */
const keyIdPattern = /^(?:arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(?:key|alias)\/|alias\/)?[A-Za-z0-9/_-]{1,256}$/u;

/** The `keys` section of the gateway config. */
export const keysConfig = z
  .strictObject({
    bindingKey: z
      .string()
      .regex(keyIdPattern, 'expected a KMS key ARN, an alias ARN, alias/NAME or a key id')
      .optional()
      .meta({
        description:
          'The KMS key that wraps what this host keeps: its master key, the data keys of its spool, and that of the last-known-good copy of this config. Symmetric, or RSA, under which the master key wraps the data keys. An alias is resolved to its key once, at start.',
        applies: 'restart',
        examples: ['alias/gatehouse-binding'],
      }),
    trustedKeys: z
      .array(z.string().regex(keyArnPattern, 'expected a KMS key ARN; an alias never opens anything'))
      .max(trustedKeysMax)
      .default([])
      .meta({
        description: 'ARNs of retired KMS keys that are still accepted for opening.',
        applies: 'restart',
        examples: [['arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c']],
      }),
    registryTable: z
      .string()
      .regex(tableNamePattern, 'expected the name of a DynamoDB table: 3 to 255 of A-Z a-z 0-9 . _ -')
      .optional()
      .meta({
        description:
          'The DynamoDB table with the registry of master keys, for gatehouse master-key create, bind and recover. The agent asks it for the highest version of each sealed secret, so that an older file is refused also where the state directory was lost; it starts without it too.',
        applies: 'restart',
        examples: ['gatehouse-keys'],
      }),
  })
  .meta({ description: 'KMS keys that seal what is kept on this host.', applies: 'restart' });
