/** What verification may find, whether it breaks the chain, and what it means. */
export const findingKinds = {
  missing: { isBreak: true, meaning: 'records are not there' },
  changed: { isBreak: true, meaning: 'a record is not as it was written' },
  unlinked: {
    isBreak: true,
    meaning: 'a record does not follow from the one before: one of the two was replaced',
  },
  forked: { isBreak: true, meaning: 'two different records have this number' },
  'out-of-order': { isBreak: true, meaning: 'a record comes after newer ones' },
  foreign: { isBreak: true, meaning: 'something in the stream is no audit record' },
  restarted: {
    isBreak: true,
    meaning: 'a host that had a chain began another: its state was lost, or replaced',
  },
  'head-contradicted': { isBreak: true, meaning: 'a shipped head names another record with this number' },
  'head-unknown': { isBreak: true, meaning: 'the head that was asked for is not there' },
  'head-damaged': { isBreak: true, meaning: 'something in the stream of heads is no head as it was written' },
  repeated: {
    isBreak: false,
    meaning: 'an exact copy came again, as a lost answer or a power loss may cause',
  },
  'begins-late': { isBreak: false, meaning: 'the chain began before what was read' },
  unchained: { isBreak: false, meaning: 'something is older than the first chain that was read' },
  'other-host': { isBreak: false, meaning: 'another host writes to the same stream' },
  silent: {
    isBreak: false,
    meaning:
      'nothing came for longer than heads take: the agent is stopped or cut off, or the end was cut away',
  },
  'no-heads': {
    isBreak: false,
    meaning: 'there are no heads: records cut off at the end would leave no trace',
  },
} as const;

export type FindingKind = keyof typeof findingKinds;

export interface Finding {
  readonly kind: FindingKind;
  readonly isBreak: boolean;
  /** Absent where it concerns no chain. */
  readonly chain?: string;
  /** The record's number, and the last where it concerns several in a row. */
  readonly sequence?: number;
  readonly to?: number;
  /** How many without a number. */
  readonly count?: number;
}

/** Findings listed; beyond that they are counted. */
const findingsMax = 1_000;

interface Open {
  readonly kind: FindingKind;
  readonly chain: string | undefined;
  readonly sequence: number | undefined;
  to: number | undefined;
  count: number;
}

/** Collects findings, those of one kind about neighbouring records as one. */
export interface Findings {
  readonly add: (kind: FindingKind, chain?: string, sequence?: number, to?: number) => void;
  all(): {
    readonly isUnbroken: boolean;
    readonly findings: readonly Finding[];
    readonly findingsLeftOut: number;
  };
}

export function findings(): Findings {
  const list: Open[] = [];
  const newest = new Map<string, Open>();
  let leftOut = 0;
  let isUnbroken = true;

  return {
    add: (kind, chain, sequence, to = sequence) => {
      if (findingKinds[kind].isBreak) isUnbroken = false;
      const key = `${kind} ${chain ?? ''}`;
      const before = newest.get(key);
      if (before !== undefined && (sequence === undefined || before.to === sequence - 1)) {
        before.to = to;
        before.count += 1;
        return;
      }
      if (list.length === findingsMax) {
        leftOut += 1;
        return;
      }
      const finding = { kind, chain, sequence, to, count: 1 };
      list.push(finding);
      newest.set(key, finding);
    },

    all: () => ({ isUnbroken, findings: list.map(closed), findingsLeftOut: leftOut }),
  };
}

function closed({ kind, chain, sequence, to, count }: Open): Finding {
  return {
    kind,
    isBreak: findingKinds[kind].isBreak,
    ...(chain === undefined ? {} : { chain }),
    ...(sequence === undefined ? { count } : { sequence }),
    ...(to === undefined || to === sequence ? {} : { to }),
  };
}
