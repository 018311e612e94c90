import type { Clock } from '../../base/clock.ts';
import { asGatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { backoffMs } from '../../base/retry.ts';
import type { StreamName } from '../batch.ts';
import { returnBody } from '../body-memory.ts';
import { eventsEvent } from '../log-events.ts';
import type { Sink } from '../sink.ts';
import { type RefusedEvent, type Spool, type SpooledBatch, streamKey } from '../spool.ts';
import type { PipelineStatus } from '../status.ts';
import { wake } from '../wake.ts';
import type { Departures } from './departures.ts';
import type { PipelineLimits } from './limits.ts';
import type { SpoolTurns } from './spool-turns.ts';

/** Batches that one stream sends before another may have its place. */
const sendsInTurnMax = 16;

/** The way of batches from the spool to the sink: several streams at a time, each in its order. */
export interface Shipping {
  /** Works until `signal` aborts. @throws what the spool throws and trying again cannot mend */
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** Something came into the spool. */
  readonly look: () => void;
  /** Whether the last try failed for any stream of the role. */
  readonly isFailing: (roleOf: string | undefined) => boolean;
  /** What the last try to send to a stream failed with; undefined where it did not. */
  failureOf(stream: StreamName): string | undefined;
  /** Whether nothing is being sent. */
  readonly isIdle: boolean;
  status(): Pick<PipelineStatus, 'sent' | 'failingStreams' | 'lastError'>;
}

export interface ShippingOptions {
  readonly spool: Pick<Spool, 'read' | 'settle' | 'streams'>;
  readonly departures: Departures;
  readonly sink: Sink;
  readonly turns: Pick<SpoolTurns, 'untilDone'>;
  readonly limits: Pick<PipelineLimits, 'sendsMax' | 'sendTimeoutMs' | 'backoffBaseMs' | 'backoffCapMs'>;
  /** A batch was taken and settled; its body is used again when this returns. */
  readonly onTaken: (batch: SpooledBatch, refused: readonly RefusedEvent[]) => void;
  /** A try to send came to an end. */
  readonly onMoved: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Taken {
  readonly batch: SpooledBatch;
  readonly refused: readonly RefusedEvent[];
}

/** A stream whose last try failed. */
interface Failing {
  readonly roleOf: string | undefined;
  readonly failures: number;
  readonly code: string;
}

export function shipping(options: ShippingOptions): Shipping {
  const { spool, departures, sink, turns, limits, onTaken, onMoved, clock, log } = options;
  const appended = wake();
  const sent = { events: 0, bytes: 0, batches: 0, refused: 0, failures: 0 };
  let lastSentAtMs: number | undefined;
  /** By stream. */
  const failing = new Map<string, Failing>();
  let lastError: PipelineStatus['lastError'];
  let senders = 0;

  /** Starts a sender for each stream that has batches and none, as many as may be, each stream in its turn. */
  async function run(signal: AbortSignal): Promise<void> {
    const sending = new Map<string, { readonly roleOf: string | undefined; readonly done: Promise<void> }>();
    const sendingUnder = (roleOf: string | undefined): number =>
      [...sending.values()].filter((sender) => sender.roleOf === roleOf).length;
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    for (let round = 0; !either.aborted; round += 1) {
      const streams = spool.streams();
      const first = streams.length === 0 ? 0 : round % streams.length;
      for (const stream of [...streams.slice(first), ...streams.slice(0, first)]) {
        const key = streamKey(stream);
        const { roleOf } = stream;
        // Of each role, for streams that are tried again and again must not take the place of those of another role.
        if (sending.has(key) || sendingUnder(roleOf) >= limits.sendsMax) continue;
        const done = sendSome(stream, either, (error) => failed.abort(error))
          .catch((error: unknown) => failed.abort(error))
          .finally(() => {
            sending.delete(key);
            senders = sending.size;
            appended.ring();
          });
        sending.set(key, { roleOf, done });
        senders = sending.size;
      }
      await appended.rung(either);
    }
    await Promise.all([...sending.values()].map(({ done }) => done));
    if (!signal.aborted) throw asGatehouseError(failed.signal.reason);
  }

  /**
   * Sends a stream's batches, one after the other, until there are none or others want their turn. While one is settled,
   * the next is under way, which may take long: `onBroken` is told at once of what trying again cannot mend.
   */
  async function sendSome(
    stream: StreamName,
    signal: AbortSignal,
    onBroken: (error: unknown) => void,
  ): Promise<void> {
    let settling: Promise<void> | undefined;
    try {
      for (let sends = 0; sends < sendsInTurnMax && !signal.aborted; sends += 1) {
        const taken = await sendNext(stream, signal);
        await settling;
        settling = undefined;
        if (taken === undefined) return;
        account(taken.batch, taken.refused);
        settling = settle(taken.batch, taken.refused, signal);
        settling.catch(onBroken);
      }
    } finally {
      // Also where the next does not read: the spool may be closed after this, and what it holds is sent again.
      await settling;
    }
  }

  /**
   * Tries until a batch is taken; undefined when there is none, or it was stopped. Before each try it is looked anew for
   * the first: that which failed may have been dropped, or moved to the dead letter.
   */
  async function sendNext(stream: StreamName, signal: AbortSignal): Promise<Taken | undefined> {
    const backoff = { baseMs: limits.backoffBaseMs, capMs: limits.backoffCapMs };
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const batch = await departures.begin(() => oldest(stream, signal));
      if (batch === undefined) {
        failing.delete(streamKey(stream));
        return undefined;
      }
      try {
        const refused = await clock.deadline(limits.sendTimeoutMs, 'PutLogEvents', signal, (limited) =>
          sink.send(batch, limited),
        );
        return { batch, refused };
      } catch (error) {
        departures.end(batch);
        returnBody(batch.body);
        if (signal.aborted) return undefined;
        fail(batch, error, attempt + 1);
        await clock.sleep(backoffMs(attempt, backoff), signal).catch(() => undefined);
      }
    }
    return undefined;
  }

  async function oldest(stream: StreamName, signal: AbortSignal): Promise<SpooledBatch | undefined> {
    const wanted = { stream, batchesMax: 1, except: departures.sending };
    const read = (): Promise<readonly SpooledBatch[]> => spool.read(wanted, signal);
    const [batch] = await turns.untilDone(`read ${streamKey(stream)}`, read, signal);
    return batch;
  }

  async function settle(
    batch: SpooledBatch,
    refused: readonly RefusedEvent[],
    signal: AbortSignal,
  ): Promise<void> {
    const key = streamKey(batch.stream);
    await turns.untilDone(`settle ${key}`, () => spool.settle(batch, refused), signal);
    departures.end(batch);
    if (refused.length > 0) {
      const reasons = [...new Set(refused.map(({ reason }) => reason))];
      log(eventsEvent('events.refused', { ...batch.stream, events: refused.length, reasons }));
    }
    onTaken(batch, refused);
    returnBody(batch.body);
  }

  function fail({ stream }: SpooledBatch, error: unknown, failures: number): void {
    const report = reportOf(error);
    onMoved();
    const { roleOf } = stream;
    // Once for all streams of a role: when AWS is away it is away for each of them.
    const isNew = !failuresUnder(roleOf).some(({ code }) => code === report.code);
    if (isNew) log(eventsEvent('events.send-failed', { ...stream, error: report }));
    failing.set(streamKey(stream), { roleOf, failures, code: report.code });
    sent.failures += 1;
    lastError = { code: report.code, atMs: clock.now().getTime() };
  }

  function failuresUnder(roleOf: string | undefined): Failing[] {
    return [...failing.values()].filter((each) => each.roleOf === roleOf);
  }

  function account(batch: SpooledBatch, refused: readonly RefusedEvent[]): void {
    const { failures = 0 } = failing.get(streamKey(batch.stream)) ?? {};
    failing.delete(streamKey(batch.stream));
    sent.batches += 1;
    sent.events += batch.events - refused.length;
    sent.bytes += batch.bytes;
    sent.refused += refused.length;
    lastSentAtMs = clock.now().getTime();
    if (failures > 0 && failuresUnder(batch.stream.roleOf).length === 0) {
      log(eventsEvent('events.send-recovered', { ...batch.stream, failures }));
    }
  }

  return {
    run,
    look: appended.ring,
    isFailing: (roleOf) => failuresUnder(roleOf).length > 0,
    failureOf: (stream) => failing.get(streamKey(stream))?.code,
    get isIdle() {
      return senders === 0;
    },
    status: () => ({
      sent: { ...sent, ...(lastSentAtMs === undefined ? {} : { lastAtMs: lastSentAtMs }) },
      failingStreams: failing.size,
      ...(lastError === undefined ? {} : { lastError }),
    }),
  };
}
