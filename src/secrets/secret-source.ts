import type { Secret } from '../base/secret.ts';

/** A secret as it is now. */
export interface SecretReading {
  readonly value: Secret;
  /** Differs whenever the value may differ. Printable; says nothing of the value. */
  readonly version: string;
  /** Of the call that read it, as CloudTrail has it; absent where the source makes none, or does not say. */
  readonly awsRequestId?: string;
}

/**
 * Where secrets are read. `Reference` says which one, in the source's own terms.
 *
 * - Each call reads anew; nothing is kept.
 * - The caller owns the value.
 * - A failure is one of the room's errors or one handed through from the sealer; none holds any part of a value.
 * - An aborted signal rejects with its reason.
 *
 * @throws SECRET_…, SEALED_…, KEY_…, FILE_…
 */
export interface SecretSource<Reference> {
  read(reference: Reference, signal: AbortSignal): Promise<SecretReading>;
}
