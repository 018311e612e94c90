import { describe, expect, test } from 'vitest';
import { asGatehouseError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { CredentialSource } from './credential-source.ts';
import { identityErrors } from './errors.ts';

/** One source in each of the situations that its port speaks of. */
export interface CredentialSourceSituations {
  /** Applies, and has these credentials to give. */
  working(): Promise<{ source: CredentialSource; accessKeyId: string; secretAccessKey: string }>;
  /** Does not apply. */
  absent(): Promise<CredentialSource>;
  /** Applies, and fails; none of its errors may show `secretText`. */
  failing(secretText: string): Promise<CredentialSource>;
}

/** What every CredentialSource keeps. */
export function credentialSourceContract(name: string, situations: CredentialSourceSituations): void {
  const signal = new AbortController().signal;

  describe(`the credential source ${name}`, () => {
    test('loads credentials that name it and have not expired', async () => {
      const { source, accessKeyId, secretAccessKey } = await situations.working();

      const credentials = await source.load(signal);

      expect(credentials?.accessKeyId).toBe(accessKeyId);
      expect(credentials?.secretAccessKey.revealText()).toBe(secretAccessKey);
      expect(credentials?.source).toBe(source.name);
      const expiresAt = credentials?.expiration?.getTime() ?? Infinity;
      expect(expiresAt).toBeGreaterThan(Date.now());
    });

    test('loads credentials that do not print', async () => {
      const { source, secretAccessKey } = await situations.working();

      const credentials = await source.load(signal);

      expect(credentials?.secretAccessKey).toBeInstanceOf(Secret);
      expect(JSON.stringify(credentials)).not.toContain(secretAccessKey);
    });

    test('loads again', async () => {
      const { source, accessKeyId } = await situations.working();
      await source.load(signal);

      const again = await source.load(signal);

      expect(again?.accessKeyId).toBe(accessKeyId);
    });

    test('does not apply, and has a reason ready', async () => {
      const source = await situations.absent();

      const credentials = await source.load(signal);

      expect(credentials).toBeUndefined();
      expect(source.absence).toMatch(/\w+ \w+/u);
    });

    test('fails with an error of this room that repeats no secret', async () => {
      const secretText = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
      const source = await situations.failing(secretText);

      const error = await source.load(signal).then(() => undefined, asGatehouseError);

      expect(Object.keys(identityErrors)).toContain(error?.code);
      expect(everythingOf(error)).not.toContain(secretText);
    });

    test('a signal that has aborted ends it with its reason', async () => {
      const { source } = await situations.working();
      const reason = new Error('enough');

      const loading = source.load(AbortSignal.abort(reason));

      await expect(loading).rejects.toBe(reason);
    });
  });
}

/** Messages, details and causes, all the way down. */
export function everythingOf(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? '';
  const own = JSON.stringify([Object.entries(error), error.stack, error.message]);
  return `${own}\n${error.cause === undefined ? '' : everythingOf(error.cause)}`;
}
