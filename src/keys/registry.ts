import { keysError } from './errors.ts';
import type { GenerationState, Seen } from './ledger.ts';

/** One generation of a host's master key as the registry has it. Nothing in it opens anything without KMS. */
export interface RegistryEntry {
  readonly generation: number;
  readonly state: GenerationState;
  readonly bindingKeyArn: string;
  /** How KMS wraps: `SYMMETRIC_DEFAULT`, or `RSAES_OAEP_SHA_256` under an RSA key. */
  readonly algorithm: string;
  /** See `fingerprintOf`. */
  readonly fingerprint: string;
  /** The wrapped key, bound to its host by its context. */
  readonly wrapped: Buffer;
  /** ARN of who wrote it. */
  readonly changedBy: string;
  readonly changedAt: Date;
}

/** Who may change a host's master key until when. */
export interface Lease {
  readonly holder: string;
  readonly until: Date;
}

/**
 * Where a fleet keeps what protects its secrets: each host its own entries, under its `name`. Every write has a
 * condition; an entry is never changed to another key.
 *
 * @throws REGISTRY_… from every method, or the signal's reason
 */
export interface Registry {
  readonly table: string;
  /** That the table is there and has the right keys. @throws REGISTRY_TABLE_MISSING, REGISTRY_TABLE_UNSUITABLE */
  check(signal: AbortSignal): Promise<void>;
  /** By generation. */
  list(agentName: string, signal: AbortSignal): Promise<RegistryEntry[]>;
  /** Adds an entry, or changes the one with the same fingerprint. @throws REGISTRY_DISAGREES where it has another */
  put(agentName: string, entry: RegistryEntry, signal: AbortSignal): Promise<void>;
  /** Takes the lease, or holds it longer. @throws REGISTRY_LEASED to another, who and until when */
  lease(agentName: string, lease: Lease, now: Date, signal: AbortSignal): Promise<void>;
  /** Gives the lease back, if it is still this holder's. */
  release(agentName: string, holder: string, signal: AbortSignal): Promise<void>;

  /** What is known of the versions of this host's secrets, by name. */
  seen(agentName: string, signal: AbortSignal): Promise<ReadonlyMap<string, Seen>>;
  /** Raises versions, never lowers one; whatever others raise meanwhile stays. */
  raise(agentName: string, versions: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void>;
  /** Lets the next version of a secret be any. The one that was the highest; undefined where none was seen. */
  allowOlder(agentName: string, name: string, signal: AbortSignal): Promise<number | undefined>;
}

/** What becomes of a secret's versions when this one was seen. */
export function raised(before: Seen | undefined, version: number): Seen {
  return { version: Math.max(before?.version ?? 0, version) };
}

/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html */
export const tableNamePattern = /^[A-Za-z0-9_.-]{3,255}$/u;

/** @throws REGISTRY_TABLE_NAME_INVALID */
export function requireTableName(table: string): void {
  if (!tableNamePattern.test(table)) throw keysError('REGISTRY_TABLE_NAME_INVALID', { table });
}
