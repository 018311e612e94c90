import type { Host } from './host.ts';

/**
 * Asks AWS STS whose credentials these are, where the bootstrap config says whose they have to be.
 * @throws CREDENTIALS_UNEXPECTED_IDENTITY, and what asking throws: who cannot be sure does not start.
 */
export async function requireExpectedCaller(host: Host, signal: AbortSignal): Promise<void> {
  const { credentials } = host.bootstrap.config;
  if (credentials.expectAccountId === undefined && credentials.expectRoleName === undefined) return;
  const { callerIdentity, unexpectedCaller } = await import('../identity/caller.ts');
  const caller = await callerIdentity(await host.aws.sts(), signal);
  const unexpected = unexpectedCaller(caller, credentials);
  if (unexpected !== undefined) throw unexpected;
}
