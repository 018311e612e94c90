import type { Batch } from './batch.ts';
import type { RefusedEvent } from './spool.ts';

/** Where batches go. */
export interface Sink {
  /** Does what can be done with a batch before its turn comes: less is in the way between an answer and the next call. */
  readonly prepare?: (batch: Batch) => void;
  /**
   * Delivers a batch and returns the events that will never be taken; the others are delivered when it resolves.
   * A throw means try again: some, all or none may have been delivered.
   * @throws EVENTS_THROTTLED, EVENTS_UNREACHABLE, EVENTS_CREDENTIALS_REFUSED, EVENTS_DENIED, EVENTS_GROUP_MISSING,
   * EVENTS_REQUEST_INVALID, EVENTS_SEND_FAILED
   */
  send(batch: Batch, signal: AbortSignal): Promise<readonly RefusedEvent[]>;
}
