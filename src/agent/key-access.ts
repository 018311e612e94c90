import { awsKms } from '../keys/aws-kms.ts';
import { type BindingKey, bindingKey } from '../keys/binding-key.ts';
import type { KmsFor } from '../keys/kms.ts';
import { kmsOpener } from '../keys/kms-sealer.ts';
import type { Opener } from '../keys/sealer.ts';
import type { GatewayConfig } from './config.ts';
import type { Host } from './host.ts';

/** KMS of any region, with the host's credentials. */
export function kmsOf({ aws }: Pick<Host, 'aws'>): KmsFor {
  return (region) => awsKms(() => aws.kms(region));
}

/** What opens and seals on this host: whatever was sealed under the binding key or a retired one. */
export interface KeyAccess extends Opener {
  /** Absent where the gateway config names none. */
  readonly bindingKey?: BindingKey;
}

/** Resolves the keys that the gateway config names. @throws KEY_… */
export async function openKeys(
  host: Host,
  { bindingKey: keyId, trustedKeys }: GatewayConfig['keys'],
  signal: AbortSignal,
): Promise<KeyAccess> {
  const kmsFor = kmsOf(host);
  const { region } = host;
  const { log } = host.recorder;
  if (keyId === undefined) return kmsOpener({ openWith: trustedKeys, keyArn: undefined, kmsFor, log });
  const binding = await bindingKey({ keyId, trustedKeys, region, kmsFor, log }, signal);
  const { keyArn, openWith } = binding;
  return { bindingKey: binding, ...kmsOpener({ openWith, keyArn, kmsFor, log }) };
}
