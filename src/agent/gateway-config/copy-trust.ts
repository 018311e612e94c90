import { keysError } from '../../keys/errors.ts';
import type { KeyName } from '../../keys/keyring.ts';
import { isTrusted, type Trust } from '../../keys/kms-keyring.ts';
import { wrappingOf } from '../../keys/master-key.ts';
import type { Host } from '../host.ts';
import { readWrappedKey } from '../master-key/state.ts';
import { ownAccount } from '../own-account.ts';

/**
 * Which KMS keys may open the copy, decided without what the state directory says: those that the bootstrap config names,
 * else those of this host's own account (docs/decisions/0017).
 */
export interface CopyTrust {
  /** @throws CREDENTIALS_… where AWS STS has to be asked for the account */
  trust(signal: AbortSignal): Promise<Trust>;
  /** @throws KEY_NOT_TRUSTED a copy under this key could not be opened when it is needed; and as `trust` */
  requireTrusted(key: KeyName, signal: AbortSignal): Promise<void>;
  /** The same as far as it costs no call: where the bootstrap config names keys. @throws KEY_NOT_TRUSTED */
  requireNamed(key: KeyName): Promise<void>;
}

export function copyTrust(host: Host): CopyTrust {
  const { gatewayConfig, stateDirectory } = host.bootstrap.config;
  const { keys: keyArns } = gatewayConfig.lastKnownGood;

  async function trust(signal: AbortSignal): Promise<Trust> {
    return keyArns.length > 0 ? { keyArns } : ownAccount(host, signal);
  }

  /** Of a generation of the master key, the KMS key that wraps it. */
  async function kmsKeyOf(key: KeyName): Promise<string | undefined> {
    if ('keyArn' in key) return key.keyArn;
    const wrapped = await readWrappedKey(stateDirectory, key.generation);
    return wrapped === undefined ? undefined : wrappingOf(wrapped).keyArn;
  }

  async function requireIn(trusted: Trust, key: KeyName): Promise<void> {
    const keyArn = await kmsKeyOf(key);
    if (keyArn !== undefined && isTrusted(keyArn, trusted)) return;
    throw keysError('KEY_NOT_TRUSTED', {
      sealedUnder: keyArn === undefined ? [] : [keyArn],
      accepted: keyArns,
    });
  }

  return {
    trust,
    requireTrusted: async (key, signal) => requireIn(await trust(signal), key),
    async requireNamed(key) {
      if (keyArns.length > 0) await requireIn({ keyArns }, key);
    },
  };
}
