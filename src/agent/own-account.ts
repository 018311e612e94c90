import { callerIdentity } from '../identity/caller.ts';
import type { Host } from './host.ts';

/**
 * Whose keys are this host's own, as AWS STS has it.
 * @throws CREDENTIALS_…
 */
export async function ownAccount(
  { aws }: Pick<Host, 'aws'>,
  signal: AbortSignal,
): Promise<{ readonly accountId: string; readonly partition: string }> {
  const { accountId, arn } = await callerIdentity(await aws.sts(), signal);
  return { accountId, partition: arn.split(':')[1] ?? '' };
}
