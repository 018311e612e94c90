import { describe, expect, test } from 'vitest';
import { Secret } from '../base/secret.ts';
import { credentialSourceContract } from './credential-source.contract.ts';
import { type CredentialSource, unexpired } from './credential-source.ts';
import { identityError } from './errors.ts';

function fakeSource(load: CredentialSource['load']): CredentialSource {
  return {
    name: 'fake',
    absence: 'it was told so',
    async load(signal) {
      signal.throwIfAborted();
      return load(signal);
    },
  };
}

credentialSourceContract('fake', {
  working: async () => ({
    source: fakeSource(async () => ({
      accessKeyId: 'ASIAFAKE',
      secretAccessKey: Secret.ofText('fake-secret'),
      source: 'fake',
    })),
    accessKeyId: 'ASIAFAKE',
    secretAccessKey: 'fake-secret',
  }),
  absent: async () => fakeSource(async () => undefined),
  failing: async () =>
    fakeSource(async () => {
      throw identityError('CREDENTIALS_NO_ROLE');
    }),
});

describe('credentials that a source hands out', () => {
  const expiration = new Date('2026-11-22T13:00:00Z');
  const credentials = {
    accessKeyId: 'ASIA',
    secretAccessKey: Secret.ofText('s'),
    expiration,
    source: 'fake',
  };

  test('are good until the moment they expire', () => {
    const before = new Date(expiration.getTime() - 1);

    expect(unexpired(credentials, before)).toBe(credentials);
    expect(() => unexpired(credentials, expiration)).toThrow(
      expect.objectContaining({ code: 'CREDENTIALS_HANDED_OUT_EXPIRED' }),
    );
  });
});
