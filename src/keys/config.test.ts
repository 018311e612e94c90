import { expect, it } from 'vitest';
import { keysConfig } from './config.ts';

const keyArn = 'arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c';

it.each([
  'alias/gatehouse-binding',
  keyArn,
  'arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/x',
  '1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c',
  'mrk-1234abcd12ab34cd56ef1234567890ab',
])('%s names a binding key', (bindingKey) => {
  expect(keysConfig.parse({ bindingKey })).toEqual({ bindingKey, trustedKeys: [] });
});

it.each([
  { bindingKey: '' },
  { bindingKey: 'arn:aws:s3:::bucket' },
  { trustedKeys: ['alias/old'] },
  { bindingKey: keyArn, masterKey: 'x' },
])('%o is refused', (value) => {
  expect(keysConfig.safeParse(value).success).toBe(false);
});
