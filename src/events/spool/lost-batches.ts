import type { Log } from '../../base/log-events.ts';
import { eventsEvent } from '../log-events.ts';
import { streamKey } from '../spool.ts';
import type { HeldRecord } from './group-writer.ts';
import { type Quarantine, quarantinedAtOnceMax } from './quarantine.ts';
import type { Damage } from './record-log.ts';
import type { WaitingBatch } from './waiting-batches.ts';

export type LossReason = 'damaged' | 'unreadable' | 'segment-missing' | 'key-lost';

export interface Losses {
  readonly batches: number;
  readonly events: number;
  /** Says which batches went, and keeps their remains. They are nobody's any more. */
  tell(batches: readonly WaitingBatch[], reason: LossReason): Promise<void>;
  /** Says what of a folder does not read, and keeps what of it does. */
  tellDamage(folder: 'spool' | 'dead-letter', damage: Damage): Promise<void>;
}

export interface LossesOptions {
  readonly quarantine: Quarantine;
  /** What is there of a record. */
  readonly raw: (record: HeldRecord) => Promise<Buffer>;
  readonly log: Log;
}

/** Streams and files that one log event names. */
const streamsNamedMax = 10;
const namesMax = 10;

/** What a spool has lost since it was opened. */
export function losses({ quarantine, raw, log }: LossesOptions): Losses {
  const lost = { batches: 0, events: 0 };

  /** Names of the files that the remains are in. */
  async function remainsOf(batches: readonly WaitingBatch[], reason: LossReason): Promise<string[]> {
    const names: string[] = [];
    let bytes = 0;
    for (const { id, record } of batches) {
      bytes += record.length;
      if (bytes > quarantinedAtOnceMax) break;
      const remains = await raw(record).catch(() => Buffer.alloc(0));
      const name = await quarantine.keep(`batch-${id}-${reason}`, remains);
      if (name !== undefined) names.push(name);
    }
    return names.slice(0, namesMax);
  }

  return {
    get batches() {
      return lost.batches;
    },
    get events() {
      return lost.events;
    },

    async tell(batches, reason) {
      const gone = {
        batches: batches.length,
        events: batches.reduce((sum, { events }) => sum + events, 0),
        bytes: batches.reduce((sum, { bytes }) => sum + bytes, 0),
      };
      lost.batches += gone.batches;
      lost.events += gone.events;
      const quarantined = await remainsOf(batches, reason);
      const streams = [...new Set(batches.map(({ stream }) => streamKey(stream)))].slice(0, streamsNamedMax);
      log(eventsEvent('events.batches-lost', { reason, ...gone, streams, quarantined }));
    },

    async tellDamage(folder, { kind, segment, from, to, records, isState, bytes }) {
      const remains = await bytes(quarantinedAtOnceMax);
      const name = await quarantine.keep(`${folder}-${segment}-${from ?? 0}`, remains);
      const quarantined = name === undefined ? [] : [name];
      log(eventsEvent('events.spool-damaged', { folder, kind, segment, from, to, records, quarantined }));
      if (isState && folder === 'spool') log(eventsEvent('events.positions-lost', { segment }));
    },
  };
}
