import type { Batch } from './batch.ts';
import type { RefusedEvent } from './spool.ts';

/** Where batches go. */
export interface Sink {
  /**
   * Delivers a batch and returns the events that will never be taken; the others are delivered when it resolves.
   * A throw means try again: some, all or none may have been delivered.
   * @throws EVENTS_THROTTLED, EVENTS_UNREACHABLE, EVENTS_CREDENTIALS_REFUSED, EVENTS_DENIED, EVENTS_GROUP_MISSING,
   * EVENTS_REQUEST_INVALID, EVENTS_SEND_FAILED
   */
  send(batch: Batch, signal: AbortSignal): Promise<readonly RefusedEvent[]>;
}
