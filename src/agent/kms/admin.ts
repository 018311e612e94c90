import { callerIdentity } from '../../identity/caller.ts';
import { awsKmsAdmin } from '../../keys/aws-kms-admin.ts';
import { keysError } from '../../keys/errors.ts';
import { regionOfKeyId } from '../../keys/key-arn.ts';
import type { KmsAdmin } from '../../keys/kms-admin.ts';
import { bootstrapOf, type Host, openHost } from '../host.ts';
import type { Launch } from '../launch.ts';
import { configuredKeys } from '../master-key/operator.ts';

/** Runs `work` with this host's AWS, for commands that look after KMS keys. */
export async function asKeyAdmin<T>(launch: Launch, work: (host: Host) => Promise<T>): Promise<T> {
  const host = openHost(launch, bootstrapOf(launch));
  try {
    return await work(host);
  } finally {
    host.aws.close();
  }
}

/** KMS's administration where this key lives; of the host's own region where its identifier names none. */
export function adminOf({ aws, region }: Host, keyId?: string): KmsAdmin {
  return awsKmsAdmin(() => aws.kms((keyId === undefined ? undefined : regionOfKeyId(keyId)) ?? region));
}

/** The key that is named, or the binding key of the gateway config. @throws MASTER_KEY_BINDING_MISSING */
export async function wantedKey(host: Host, keyId: string | undefined, signal: AbortSignal): Promise<string> {
  const wanted = keyId ?? (await configuredKeys(host, signal))?.bindingKey;
  if (wanted === undefined) throw keysError('MASTER_KEY_BINDING_MISSING');
  return wanted;
}

export async function callerOf({ aws }: Host, signal: AbortSignal) {
  const { accountId, arn } = await callerIdentity(await aws.sts(), signal);
  return { accountId, arn, partition: arn.split(':')[1] ?? 'aws' };
}
