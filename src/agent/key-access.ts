import type { Log } from '../base/log-events.ts';
import { awsKms } from '../keys/aws-kms.ts';
import { type BindingKey, bindingKey } from '../keys/binding-key.ts';
import type { KmsFor } from '../keys/kms.ts';
import { kmsOpen } from '../keys/kms-sealer.ts';
import { keysEvent } from '../keys/log-events.ts';
import type { SealContext } from '../keys/sealer.ts';
import type { GatewayConfig } from './config.ts';
import type { Host } from './host.ts';

/** KMS of any region, with the host's credentials. */
export function kmsOf({ aws }: Pick<Host, 'aws'>): KmsFor {
  return (region) => awsKms(() => aws.kms(region));
}

/** What opens and seals on this host. */
export interface KeyAccess {
  /** Absent where the gateway config names none. */
  readonly bindingKey?: BindingKey;
  /** Opens what was sealed under the binding key or a retired one. The caller owns the bytes. */
  open(sealed: Uint8Array, context: SealContext, signal: AbortSignal): Promise<Buffer>;
}

/** Resolves the keys that the gateway config names. @throws KEY_… */
export async function openKeys(
  host: Host,
  { bindingKey: keyId, trustedKeys }: GatewayConfig['keys'],
  signal: AbortSignal,
): Promise<KeyAccess> {
  const kmsFor = kmsOf(host);
  const { log } = host.recorder;
  if (keyId === undefined) return { open: opening(trustedKeys, undefined, { kmsFor, log }) };
  const { region } = host;
  const binding = await bindingKey({ keyId, trustedKeys, region, kmsFor, log }, signal);
  return { bindingKey: binding, open: opening(binding.openWith, binding.keyArn, { kmsFor, log }) };
}

function opening(
  keyArns: readonly string[],
  bindingKeyArn: string | undefined,
  { kmsFor, log }: { readonly kmsFor: KmsFor; readonly log: Log },
): KeyAccess['open'] {
  return async (sealed, context, signal) => {
    const { bytes, keyArn } = await kmsOpen(sealed, context, { trust: { keyArns }, kmsFor }, signal);
    if (keyArn !== bindingKeyArn) log(keysEvent('key.retired-used', { keyArn }));
    return bytes;
  };
}
