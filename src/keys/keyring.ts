import type { Secret } from '../base/secret.ts';
import type { NewDataKey } from './message-cipher.ts';
import type { MessageHeader } from './sealed-message.ts';
import type { SealContext } from './sealer.ts';

/** Which key opened a message: a KMS key, or a generation of the master key. */
export type KeyName = { readonly keyArn: string } | { readonly generation: number };

/** A data key that was unwrapped. */
export interface UnwrappedKey {
  readonly dataKey: Secret;
  readonly openedBy: KeyName;
}

/** Who can open a message: the half of a keyring that those need who only open. */
export interface Unwrapper {
  /**
   * The data key of a message whose context the caller has accepted.
   * @throws KEY_…, MASTER_KEY_…
   */
  unwrap(header: MessageHeader, signal: AbortSignal): Promise<UnwrappedKey>;
}

/** What wraps the data keys of messages: a KMS key, or the master key. */
export interface Keyring extends Unwrapper {
  /** A new data key, bound to this context. @throws KEY_…, MASTER_KEY_… */
  wrap(context: SealContext, signal: AbortSignal): Promise<NewDataKey>;
}
