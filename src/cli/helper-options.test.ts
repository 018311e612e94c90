import { expect, test } from 'vitest';
import { GatehouseError } from '../base/errors.ts';
import { commands } from './cli.ts';
import { refuseForeignFlags } from './helper-options.ts';

/** The flags of aws_signing_helper 1.8.0, by command. */
const common =
  'certificate private-key intermediates trust-anchor-arn profile-arn role-arn role-session-name session-duration region ' +
  'endpoint with-proxy no-verify-ssl pkcs8-password pkcs11-lib reuse-pin tpm-key-password no-tpm-key-password ' +
  'cert-selector system-store-name system-store-location use-latest-expiring-certificate debug';
const helper = [
  ['credential-process', common],
  ['serve', `${common} port hop-limit`],
  ['update', `${common} profile once`],
  [
    'read-certificate-data',
    'certificate pkcs11-lib cert-selector system-store-name system-store-location debug',
  ],
  [
    'sign-string',
    'certificate private-key digest format pkcs8-password pkcs11-lib reuse-pin tpm-key-password no-tpm-key-password ' +
      'cert-selector system-store-name system-store-location use-latest-expiring-certificate debug',
  ],
] as const;

const flags = helper.flatMap(([word, names]) => names.split(' ').map((name) => [word, name] as const));

/** What a flag is answered with; undefined where it is taken. */
function answerTo(word: string, name: string): unknown {
  const { options } = commands.find(({ usage }) => usage === word) ?? { options: {} };
  try {
    refuseForeignFlags([word, `--${name}=x`]);
  } catch (error) {
    return error instanceof GatehouseError ? error.details['problem'] : error;
  }
  return Object.hasOwn(options, name) ? undefined : 'nothing';
}

test.each(flags)('%s --%s is taken, or says what to use', (word, name) => {
  const instead = new RegExp(`^--${name} of aws_signing_helper is not carried: .{20}`, 'u');

  expect([undefined, expect.stringMatching(instead)]).toContainEqual(answerTo(word, name));
});

test('of the flags of the helper these alone are not carried', () => {
  const taken = new Set(commands.flatMap(({ options }) => Object.keys(options)));

  expect([...new Set(flags.map(([, name]) => name))].filter((name) => !taken.has(name))).toEqual([
    'no-verify-ssl',
    'pkcs8-password',
    'tpm-key-password',
    'no-tpm-key-password',
    'cert-selector',
    'system-store-name',
    'system-store-location',
    'use-latest-expiring-certificate',
  ]);
});
