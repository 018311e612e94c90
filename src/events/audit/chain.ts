import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';

/** Where a chain stands: its newest record. */
export interface ChainHead {
  /** Random; a new one for each chain. */
  readonly chain: string;
  /** Of the newest record; a chain's first has 0. */
  readonly sequence: number;
  /** That record's hash, SHA-256 in hex. */
  readonly hash: string;
}

/** What the chain adds to a record. */
export interface ChainLink extends ChainHead {
  /** The hash of the record before; zeros in a chain's first. */
  readonly previous: string;
}

type Members = Readonly<Record<string, unknown>>;

/** What stands in for the hash of a record before the first. */
export const noHash = '0'.repeat(64);

/** The event of a chain's first record; its fields say whose chain it is. */
export const genesisEvent = 'audit.genesis';

export interface Genesis {
  /** The host's own id, from its state directory. */
  readonly hostId: string;
  /** The bootstrap `name`. */
  readonly name: string;
  /** The audit source, as the gateway config names it. */
  readonly source: string;
}

/** A record with its place in a chain, as the line that ships, and the chain's head from then on. */
export interface Linked {
  /** Canonical JSON without a newline. */
  readonly line: string;
  readonly head: ChainHead;
}

/** The first record of a new chain. `chain` must never have been used before. */
export function firstLink(chain: string, time: string, { hostId, name, source }: Genesis): Linked {
  const genesis = { time, event: genesisEvent, outcome: 'success', fields: { hostId, name, source } };
  return linked({ ...genesis, chain, sequence: 0, previous: noHash });
}

/** A record after `head`. Members of the record that are named like the chain's own are replaced. */
export function nextLink({ chain, sequence, hash }: ChainHead, record: Members): Linked {
  return linked({ ...record, chain, sequence: sequence + 1, previous: hash });
}

function linked(record: Members & Omit<ChainLink, 'hash'>): Linked {
  const { chain, sequence } = record;
  const { line, hash } = hashed(record);
  return { line, head: { chain, sequence, hash } };
}

/** Members and the hash of them, as one line of canonical JSON. A member `hash` is replaced. */
export function hashed(members: Members): { readonly line: string; readonly hash: string } {
  const hash = hashOf(members);
  return { line: canonicalJson({ ...members, hash }), hash };
}

/** SHA-256 in hex over the canonical JSON of everything but the hash itself. */
export function hashOf(members: Members): string {
  const { hash: _, ...rest } = members;
  return createHash('sha256').update(canonicalJson(rest)).digest('hex');
}

/** Whether a line is exactly what `hashed` wrote. */
export function isIntact(line: string, members: Members): boolean {
  return members['hash'] === hashOf(members) && canonicalJson(members) === line;
}

/** The place in a chain that a record claims; undefined where it is no record of a chain. */
export function linkIn(members: Members): ChainLink | undefined {
  const { chain, sequence, hash, previous } = members;
  if (typeof chain !== 'string' || typeof hash !== 'string' || typeof previous !== 'string') return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0) return undefined;
  return { chain, sequence, hash, previous };
}

/** A chain's head as it is shipped to a stream of its own, from where it proves what there must be. */
export interface ShippedHead {
  readonly head: ChainHead;
  readonly hostId: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Records that found no room since the agent started; they have no number in the chain. */
  readonly lost: number;
  /** Heads come at least this often while the agent runs. */
  readonly everyMinutes: number;
}

export function headLine({ head, ...rest }: ShippedHead): string {
  return hashed({ ...rest, kind: 'audit-head', head, records: head.sequence + 1 }).line;
}

/** Undefined where the members are no shipped head. */
export function headIn(members: Members): ShippedHead | undefined {
  const { kind, head, hostId, time, lost, everyMinutes } = members;
  if (kind !== 'audit-head' || typeof head !== 'object' || head === null) return undefined;
  const link = linkIn({ ...head, previous: noHash });
  if (link === undefined || typeof hostId !== 'string' || typeof time !== 'string') return undefined;
  if (typeof lost !== 'number' || typeof everyMinutes !== 'number') return undefined;
  const { chain, sequence, hash } = link;
  return { head: { chain, sequence, hash }, hostId, time, lost, everyMinutes };
}

/** A line's members; undefined where it is no JSON object. */
export function membersIn(line: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isMembers(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const headsSuffix = '.heads';
/** CloudWatch Logs: 512 characters. */
const streamNameMax = 512;

/** The log stream that a chain's heads ship to, beside that of its records. */
export function headsStream(logStream: string): string {
  return `${logStream.slice(0, streamNameMax - headsSuffix.length)}${headsSuffix}`;
}
