import { z } from 'zod';
import { SandboxError } from './sandbox-error.ts';

/** The names that faults and calls know endpoints by. */
export const endpointNames = [
  'dynamodb',
  'kms',
  'secretsmanager',
  'logs',
  'sts',
  'iam',
  'rolesanywhere',
  'ec2-metadata',
  'container-credentials',
] as const;

const effect = z.discriminatedUnion('kind', [
  /** The answer comes so much later. */
  z.strictObject({ kind: z.literal('latency'), ms: z.int().min(0).max(600_000) }),
  /** The call waits until this fault is taken away, and is done and answered then. */
  z.strictObject({ kind: z.literal('hold') }),
  /** Refused with what the protocol calls too many requests. */
  z.strictObject({ kind: z.literal('throttle') }),
  /** Refused with this error, in the shape of the protocol; nothing is done. */
  z.strictObject({
    kind: z.literal('error'),
    name: z.string().regex(/^[A-Za-z0-9.]{1,128}$/u),
    message: z.string().max(1024).optional(),
    status: z.int().min(400).max(599).optional(),
  }),
  /** The work is done, then the connection closes without an answer. */
  z.strictObject({ kind: z.literal('lost-answer') }),
  /** The connection closes and nothing is done. */
  z.strictObject({ kind: z.literal('cut') }),
  /** The work is done; half of the answer's body arrives before the connection closes. */
  z.strictObject({ kind: z.literal('half-body') }),
  /** The endpoint's clock is so far ahead, or behind where negative. */
  z.strictObject({ kind: z.literal('clock'), offsetSeconds: z.int().min(-1e9).max(1e9) }),
  /** The temporary credentials that sign the call expire before it is looked at. */
  z.strictObject({ kind: z.literal('expire-credentials') }),
]);

const rule = z
  .strictObject({
    /** Only calls of this endpoint; every one where absent. */
    service: z.enum(endpointNames).optional(),
    /** Only this operation, as the call record names it. */
    operation: z.string().min(1).max(128).optional(),
    /** Only the n-th matching call, counting from 1. */
    nth: z.int().min(1).optional(),
    /** So many calls at most, then no more. */
    count: z.int().min(1).optional(),
    /** The chance of each matching call. */
    probability: z.number().min(0).max(1).optional(),
    /** Starts the dice of `probability`; the same seed throws the same. */
    seed: z.int().optional(),
    effect,
  })
  .refine((value) => value.nth === undefined || value.count === undefined, {
    path: ['count'],
    message: 'cannot be given together with nth',
  });

export const faultsMax = 1000;

const faultsFile = z.strictObject({ faults: z.array(rule).max(faultsMax) });

export type FaultEffect = z.infer<typeof effect>;
/** What befalls one call. */
export type Befalling =
  | Exclude<FaultEffect, { kind: 'hold' }>
  | { readonly kind: 'hold'; readonly released: Promise<void> };
/** Which calls go wrong, and how. */
export type FaultRule = z.input<typeof rule>;

export interface StandingFault {
  readonly id: string;
  readonly rule: FaultRule;
  /** Calls that matched, and those of them that went wrong. */
  readonly seen: number;
  readonly hits: number;
}

export interface Faults {
  /** Says the fault's id. Throws SandboxError for a rule that is none. */
  add(fault: FaultRule): string;
  remove(id: string): boolean;
  clear(): void;
  list(): readonly StandingFault[];
  /** What befalls this call, in the order the faults were added. Counts the call. */
  effectsOn(service: string, operation: string): readonly Befalling[];
}

export function createFaults(): Faults {
  const standing = new Map<
    string,
    {
      rule: z.infer<typeof rule>;
      seen: number;
      hits: number;
      dice: () => number;
      gone: PromiseWithResolvers<void>;
    }
  >();
  let added = 0;
  const remove = (id: string): boolean => {
    standing.get(id)?.gone.resolve();
    return standing.delete(id);
  };

  return {
    add(fault) {
      const [parsed] = parseFaults({ faults: [fault] });
      if (parsed === undefined) throw new RangeError('no fault given');
      if (standing.size >= faultsMax) throw new RangeError(`more than ${faultsMax} faults`);
      added += 1;
      const id = `fault-${added}`;
      const dice = seededDice(parsed.seed ?? 1);
      standing.set(id, { rule: parsed, seen: 0, hits: 0, dice, gone: Promise.withResolvers() });
      return id;
    },

    remove,
    clear() {
      for (const id of standing.keys()) remove(id);
    },
    list: () => [...standing].map(([id, { rule: its, seen, hits }]) => ({ id, rule: its, seen, hits })),

    effectsOn(service, operation) {
      const effects: Befalling[] = [];
      for (const fault of standing.values()) {
        const { service: ofService = service, operation: ofOperation = operation } = fault.rule;
        if (ofService !== service || ofOperation !== operation) continue;
        fault.seen += 1;
        const { nth = fault.seen, count = Number.POSITIVE_INFINITY, probability = 1 } = fault.rule;
        if (fault.seen !== nth || fault.hits >= count || fault.dice() >= probability) continue;
        fault.hits += 1;
        const { effect: its } = fault.rule;
        effects.push(its.kind === 'hold' ? { kind: 'hold', released: fault.gone.promise } : its);
      }
      return effects;
    },
  };
}

/**
 * The rules of a faults document: `{ "faults": [ … ] }`.
 * @throws SandboxError SANDBOX_FAULTS_INVALID with every problem and its path
 */
export function parseFaults(document: unknown): readonly z.infer<typeof rule>[] {
  const parsed = faultsFile.safeParse(document);
  if (parsed.success) return parsed.data.faults;
  const problems = parsed.error.issues.map((issue) => ({
    path: written(issue.path),
    message: issue.message,
  }));
  const said = problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new SandboxError('SANDBOX_FAULTS_INVALID', `the faults are not valid: ${said}`, problems);
}

function written(path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, key) => {
    if (typeof key === 'number') return `${before}[${key}]`;
    return before === '' ? String(key) : `${before}.${String(key)}`;
  }, '');
}

/** Numbers in [0, 1) that a seed decides (mulberry32). */
function seededDice(seed: number): () => number {
  let state = Math.trunc(seed);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
