import {
  type ChainHead,
  type ChainLink,
  genesisEvent,
  headIn,
  isIntact,
  linkIn,
  membersIn,
  noHash,
} from './chain.ts';
import { type Finding, type Findings, findings } from './findings.ts';

export interface AuditVerifierOptions {
  /**
   * Whether chains may begin before the first record that was read: only a part of the time was asked for, or the log
   * group keeps events for a limited time.
   */
  readonly mayBeginLate: boolean;
  readonly now: Date;
}

/** What was read of one chain, and how far it is proven. */
export interface ChainReport {
  readonly chain: string;
  /** The host that began it; absent where neither its first record nor a head of it was read. */
  readonly hostId?: string;
  /** Numbers of the oldest and newest record that were read. */
  readonly first: number;
  readonly last: number;
  /** When they were made, ISO 8601 as the record has it. */
  readonly firstTime: string;
  readonly lastTime: string;
  /** Different records. */
  readonly records: number;
  /** Copies of records: what a lost answer costs. */
  readonly repeated: number;
  /** Newest head that was read. Up to it a missing record is found; what was cut off after it leaves no trace. */
  readonly head?: { readonly sequence: number; readonly time: string; readonly everyMinutes: number };
  /** Records newer than that head. */
  readonly beyondHead: number;
  /** Most records that an agent of this chain said to have lost since its start, for want of room. */
  readonly lost: number;
}

export interface AuditReport {
  /** Whether nothing is broken. Findings that break nothing may be there all the same. */
  readonly isUnbroken: boolean;
  readonly records: number;
  readonly chains: readonly ChainReport[];
  readonly findings: readonly Finding[];
  /** Findings beyond those listed. */
  readonly findingsLeftOut: number;
}

/** Takes what was read, in the order of reading, and tells what is wrong with it. Pure. */
export interface AuditVerifier {
  /** One message of the audit stream. */
  readonly record: (message: string) => void;
  /** One message of the stream of heads. */
  readonly head: (message: string) => void;
  /** `expected`: heads that the caller knows from elsewhere. */
  report(expected?: readonly Pick<ChainHead, 'sequence' | 'hash'>[]): AuditReport;
}

interface Entry {
  readonly hash: string;
  readonly previous: string;
  readonly time: string;
  readonly isGenesis: boolean;
}

interface KnownHead extends ChainHead {
  readonly time: string;
}

interface Chain {
  readonly id: string;
  hostId: string | undefined;
  /** By sequence; more than one only where a number was given twice. */
  readonly entries: Map<number, Entry[]>;
  /** Numbers whose record is there and not as it was written. */
  readonly changed: Set<number>;
  readonly repeated: Map<number, number>;
  readonly heads: KnownHead[];
  everyMinutes: number;
  lost: number;
  newest: number;
}

export function auditVerifier({ mayBeginLate, now }: AuditVerifierOptions): AuditVerifier {
  const chains = new Map<string, Chain>();
  const found = findings();
  let records = 0;
  let isChained = false;

  function chainOf(id: string): Chain {
    const known = chains.get(id);
    if (known !== undefined) return known;
    const chain: Chain = {
      id,
      hostId: undefined,
      entries: new Map(),
      changed: new Set(),
      repeated: new Map(),
      heads: [],
      everyMinutes: 0,
      lost: 0,
      newest: -1,
    };
    chains.set(id, chain);
    return chain;
  }

  function keep(link: ChainLink, entry: Entry): void {
    const { sequence } = link;
    const chain = chainOf(link.chain);
    isChained = true;
    const same = chain.entries.get(sequence);
    if (same === undefined) {
      chain.entries.set(sequence, [entry]);
      if (sequence < chain.newest) found.add('out-of-order', chain.id, sequence);
      chain.newest = Math.max(chain.newest, sequence);
    } else if (same.some(({ hash }) => hash === entry.hash)) {
      chain.repeated.set(sequence, (chain.repeated.get(sequence) ?? 0) + 1);
    } else {
      same.push(entry);
      found.add('forked', chain.id, sequence);
    }
  }

  return {
    record(message) {
      records += 1;
      const members = membersIn(message);
      const link = members && linkIn(members);
      if (members === undefined || link === undefined) {
        // Records from before there were chains come before the first chain.
        found.add(isChained ? 'foreign' : 'unchained');
        return;
      }
      if (!isIntact(message, members)) {
        found.add('changed', link.chain, link.sequence);
        // Kept apart: the chain that it names may be what was changed.
        chains.get(link.chain)?.changed.add(link.sequence);
        return;
      }
      const { event, time } = members;
      const isGenesis = event === genesisEvent && link.sequence === 0 && link.previous === noHash;
      const { hash, previous } = link;
      keep(link, { hash, previous, time: typeof time === 'string' ? time : '', isGenesis });
      if (isGenesis) chainOf(link.chain).hostId = hostIdIn(members['fields']);
    },

    head(message) {
      const members = membersIn(message);
      const shipped = members && headIn(members);
      if (members === undefined || shipped === undefined || !isIntact(message, members)) {
        found.add('head-damaged');
        return;
      }
      const { head, hostId, time, lost, everyMinutes } = shipped;
      const chain = chainOf(head.chain);
      chain.heads.push({ ...head, time });
      chain.hostId ??= hostId;
      chain.lost = Math.max(chain.lost, lost);
      chain.everyMinutes = everyMinutes;
    },

    report(expected = []) {
      const reports: ChainReport[] = [];
      for (const chain of chains.values()) {
        judge(chain, found.add, mayBeginLate);
        const report = reportOf(chain);
        if (report === undefined) continue;
        reports.push(report);
        if (report.head === undefined) found.add('no-heads', chain.id);
        else if (isSilent(report.head, now)) found.add('silent', chain.id);
      }
      compareHosts([...chains.values()], found.add);
      for (const head of expected) {
        const isThere = [...chains.values()].some(({ entries }) =>
          entries.get(head.sequence)?.some(({ hash }) => hash === head.hash),
        );
        if (!isThere) found.add('head-unknown', undefined, head.sequence);
      }
      return { ...found.all(), records, chains: reports };
    },
  };
}

type Say = Findings['add'];

/** Everything about one chain that shows only when all of it was read. */
function judge({ id, entries, changed, repeated, heads }: Chain, say: Say, mayBeginLate: boolean): void {
  const there = [...new Set([...entries.keys(), ...changed])].toSorted((one, other) => one - other);
  const attested = Math.max(-1, ...heads.map(({ sequence }) => sequence));
  const first = there[0];
  if (first === undefined) {
    // Nothing but heads. Where only a part was asked for, their records may lie before it.
    if (!mayBeginLate) say('missing', id, 0, attested);
    else say('begins-late', id, attested + 1);
    return;
  }

  if (first > 0) {
    if (mayBeginLate) say('begins-late', id, first);
    else say('missing', id, 0, first - 1);
  }
  for (const genesis of entries.get(0) ?? []) if (!genesis.isGenesis) say('unlinked', id, 0);
  let before = first;
  for (const sequence of there.slice(1)) {
    if (sequence > before + 1) say('missing', id, before + 1, sequence - 1);
    else if (!follows(entries.get(before), entries.get(sequence))) say('unlinked', id, sequence);
    before = sequence;
  }
  if (attested > before) say('missing', id, before + 1, attested);
  for (const [sequence, copies] of repeated) if (copies > 0) say('repeated', id, sequence);
  for (const { sequence, hash } of heads) {
    const entry = entries.get(sequence);
    if (entry !== undefined && !entry.some((each) => each.hash === hash)) {
      say('head-contradicted', id, sequence);
    }
  }
}

/** A changed record has no hash that could be compared: it is found already. */
function follows(before: readonly Entry[] | undefined, after: readonly Entry[] | undefined): boolean {
  if (before === undefined || after === undefined) return true;
  return after.some(({ previous }) => before.some(({ hash }) => hash === previous));
}

/** A host that begins another chain has lost the place of its first: its state, or somebody took it. */
function compareHosts(chains: readonly Chain[], say: Say): void {
  const hosts = new Set<string>();
  for (const { id, hostId } of chains) {
    if (hostId === undefined) continue;
    if (hosts.has(hostId)) say('restarted', id);
    else if (hosts.size > 0) say('other-host', id);
    hosts.add(hostId);
  }
}

function reportOf(chain: Chain): ChainReport | undefined {
  const sequences = [...chain.entries.keys()];
  if (sequences.length === 0) return undefined;
  const [first, last] = [Math.min, Math.max].map((extreme) => sequences.reduce((a, b) => extreme(a, b)));
  if (first === undefined || last === undefined) return undefined;
  const head = chain.heads.reduce<KnownHead | undefined>(
    (newest, each) => (newest === undefined || each.sequence >= newest.sequence ? each : newest),
    undefined,
  );
  const { everyMinutes } = chain;
  return {
    chain: chain.id,
    ...(chain.hostId === undefined ? {} : { hostId: chain.hostId }),
    first,
    last,
    firstTime: chain.entries.get(first)?.[0]?.time ?? '',
    lastTime: chain.entries.get(last)?.[0]?.time ?? '',
    records: sequences.length,
    repeated: [...chain.repeated.values()].reduce((sum, copies) => sum + copies, 0),
    ...(head === undefined ? {} : { head: { sequence: head.sequence, time: head.time, everyMinutes } }),
    beyondHead: Math.max(0, last - (head?.sequence ?? -1)),
    lost: chain.lost,
  };
}

/** Heads may be late by as much again, and some. */
const silenceFactor = 2.5;

function isSilent({ time, everyMinutes }: NonNullable<ChainReport['head']>, now: Date): boolean {
  return now.getTime() - Date.parse(time) > everyMinutes * 60_000 * silenceFactor;
}

function hostIdIn(fields: unknown): string | undefined {
  if (typeof fields !== 'object' || fields === null || !('hostId' in fields)) return undefined;
  return typeof fields.hostId === 'string' ? fields.hostId : undefined;
}
