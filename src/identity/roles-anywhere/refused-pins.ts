import { createHmac, randomBytes } from 'node:crypto';
import { GatehouseError } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';

/** So that what is kept tells nothing about a PIN outside of this process. */
const digestKey = randomBytes(32);

/** The last PIN that each token refused, and how. For the whole process: the token counts what anybody in it tries. */
const refused = new Map<string, { readonly digest: string; readonly error: GatehouseError }>();

/**
 * Logs in to a token with a PIN, unless the token refused that very PIN before: after a few it locks itself.
 * @throws what `work` throws, and PKCS11_PIN_REFUSED again without asking the token
 */
export function unlessRefused<T>(token: string, pin: Secret | undefined, work: () => T): T {
  if (pin === undefined) return work();
  const digest = createHmac('sha256', digestKey).update(pin.revealBytes()).digest('hex');
  const before = refused.get(token);
  if (before?.digest === digest) throw before.error;
  try {
    return work();
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'PKCS11_PIN_REFUSED')
      refused.set(token, { digest, error });
    throw error;
  }
}
