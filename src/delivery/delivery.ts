import type { Secret } from '../base/secret.ts';

/** A secret to hand over, as it is now. */
export interface DeliverableSecret {
  readonly name: string;
  readonly value: Secret;
  readonly version: string;
}

export interface Delivered {
  /** False when exactly this was in place already and nothing was touched. */
  readonly written: boolean;
}

export interface Withdrawn {
  /** False when there was nothing to take back. */
  readonly removed: boolean;
}

/**
 * One way in which one workload gets one secret.
 *
 * - When `deliver` resolves, the workload finds this value, whole; while it runs, the value before or this one.
 * - The same value again changes nothing, unless somebody else changed what was in place.
 * - A failure leaves the value before in place and nothing of this one behind.
 * - Errors and their details hold no part of the value. An aborted signal rejects with its reason.
 * - `withdraw` takes back what this process delivered or found in place, and nothing else: what somebody changed since
 *   stays, with DELIVERY_CHANGED_BY_OTHERS, and a second call does nothing.
 * - Calls for one delivery never overlap.
 *
 * @throws DELIVERY_…, FILE_…, OWNER_…; `retry` of the row says whether time alone may help
 */
export interface Delivery {
  deliver(secret: DeliverableSecret, signal: AbortSignal): Promise<Delivered>;
  withdraw(signal: AbortSignal): Promise<Withdrawn>;
}
