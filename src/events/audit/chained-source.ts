import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Chunk, EventSource, Positions } from '../event-source.ts';
import { eventsEvent } from '../log-events.ts';
import type { AuditSource } from '../source/audit.ts';
import type { SourcePosition } from '../spool.ts';
import type { AuditChainStatus } from '../status.ts';
import { type ChainHead, firstLink, type Genesis, type Linked, membersIn, nextLink } from './chain.ts';

/** An audit source whose records form a chain that goes on where the spool says it ended. */
export interface ChainedSource extends EventSource {
  readonly name: string;
  /** Told of what the spool has made durable. */
  durable(positions: readonly SourcePosition[]): void;
  /** The head as it is durable; undefined before the chain's first record is. */
  head(): ChainHead | undefined;
  /** Resolves when every record taken so far is durable: with false, at once, while records are being lost. */
  settled(): Promise<boolean>;
  status(): AuditChainStatus;
}

export interface ChainedSourceOptions {
  readonly name: string;
  readonly source: AuditSource;
  readonly host: Pick<Genesis, 'hostId' | 'name'>;
  /** Where the chain stands in the spool. */
  readonly from: Positions;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** The position that holds the head. */
const headItem = 'head';

/**
 * Events of a stream are read back in the order of their times. A clock that was set back by less than this does not
 * change that order; beyond it records would come from a future that CloudWatch Logs refuses (two hours).
 */
const holdTimeMsMax = 60 * 60 * 1000;

interface KeptHead extends ChainHead {
  readonly timeMs: number;
}

/**
 * Gives each record its number and the hash of the one before, and moves the head with the chunk that holds them: the
 * spool keeps both or neither, and sends only what it keeps. So a kill leaves no gap and no second record with a number
 * that was used. For that one chunk must become one batch, which `auditSource` sees to.
 */
export function chainedSource(options: ChainedSourceOptions): ChainedSource {
  const { name, source, host, clock, log } = options;
  let kept = headOf(options.from.get(headItem));
  let head: ChainHead | undefined = kept;
  let lastMs = kept?.timeMs ?? 0;
  /** How many records from `source` were handed on, and how many of them are durable. */
  let handed = 0;
  let durableRecords = 0;
  const underWay: { readonly sequence: number; readonly handed: number }[] = [];
  const waiting: { readonly records: number; resolve(isSettled: boolean): void }[] = [];

  function begin(): Linked {
    const chain = randomUUID();
    log(eventsEvent('events.audit-chain-began', { source: name, chain }));
    return firstLink(chain, clock.now().toISOString(), { ...host, source: name });
  }

  function link({ bytes, ...chunk }: Chunk): Chunk {
    const lines: string[] = [];
    const add = ({ line, head: next }: Linked): ChainHead => {
      lines.push(`${line}\n`);
      head = next;
      return next;
    };
    let current = head ?? add(begin());
    for (const line of bytes.toString('utf8').split('\n')) {
      if (line === '') continue;
      current = add(nextLink(current, membersIn(line) ?? { text: line }));
      handed += 1;
    }
    underWay.push({ sequence: current.sequence, handed });
    const timeMs = lastMs - chunk.timeMs < holdTimeMsMax ? Math.max(lastMs, chunk.timeMs) : chunk.timeMs;
    lastMs = timeMs;
    const value = JSON.stringify({ ...current, timeMs } satisfies KeptHead);
    return { ...chunk, timeMs, bytes: Buffer.from(lines.join('')), positions: [{ item: headItem, value }] };
  }

  return {
    name,

    async *chunks(from, signal) {
      for await (const chunk of source.chunks(from, signal)) yield link(chunk);
    },

    counts: () => source.counts(),

    durable(positions) {
      for (const position of positions) {
        if (position.source !== name || position.item !== headItem) continue;
        kept = headOf(position.value);
        while ((underWay[0]?.sequence ?? Infinity) <= (kept?.sequence ?? -1)) {
          durableRecords = underWay.shift()?.handed ?? durableRecords;
        }
      }
      while ((waiting[0]?.records ?? Infinity) <= durableRecords) waiting.shift()?.resolve(true);
    },

    head: () => kept && { chain: kept.chain, sequence: kept.sequence, hash: kept.hash },

    async settled() {
      if (source.isLosing()) return false;
      const records = source.taken();
      if (records <= durableRecords) return true;
      return new Promise((resolve) => {
        waiting.push({ records, resolve });
      });
    },

    status: () => ({
      source: name,
      lost: source.lost(),
      ...(kept === undefined ? {} : { chain: kept.chain, sequence: kept.sequence, hash: kept.hash }),
    }),
  };
}

/** A head in a form that is not ours begins a new chain, which is said: better than an agent that does not start. */
function headOf(value: string | undefined): KeptHead | undefined {
  const members = value === undefined ? undefined : membersIn(value);
  if (members === undefined) return undefined;
  const { chain, sequence, hash, timeMs } = members;
  if (typeof chain !== 'string' || typeof hash !== 'string') return undefined;
  if (typeof sequence !== 'number' || typeof timeMs !== 'number') return undefined;
  return { chain, sequence, hash, timeMs };
}
