import type { Machine } from './machine.ts';
import type { Program } from './program.ts';

/** What one run of a subject gave, by quantity. */
export type Sample = Readonly<Record<string, number>>;

/** One thing that is measured: the agent in some situation, or what it is held against. */
export interface Subject {
  readonly name: string;
  /** The build that it runs; undefined for what is the same in all. */
  readonly program?: Program;
  measure(): Promise<Sample>;
}

export interface BenchOptions {
  /** This tree first; then, with --compare, the other commit. */
  readonly programs: readonly Program[];
  readonly isQuick: boolean;
  readonly rounds: number | undefined;
  /** Megabytes of log. */
  readonly mb: number | undefined;
  readonly say: (text: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  /** Quantity → unit, in the order in which they are shown. */
  readonly units: Readonly<Record<string, string>>;
  /** Names of the subjects that the others are held against. */
  readonly baselines: readonly string[];
  /** What is wanted, by subject and quantity: most, above the first baseline where `above` says so. */
  readonly aims?: readonly Aim[];
  readonly rounds: { readonly usual: number; readonly quick: number };
  /** Only measured when it is asked for. */
  readonly isByName?: boolean;
  /** Makes the subjects; what they need is released with `opened`. Facts about the run go to `note`. */
  prepare(
    options: BenchOptions,
    opened: AsyncDisposableStack,
    note: (fact: string) => void,
  ): Promise<readonly Subject[]>;
}

export interface Aim {
  readonly subject: string;
  readonly quantity: string;
  readonly most: number;
  /** The baseline that `most` is counted from, */
  readonly above?: string;
  /** or that it is a multiple of. */
  readonly times?: string;
}

/** A figure beside another of the same run: medians over rounds of what was paired within each round. */
export interface Beside {
  readonly subject: string;
  readonly program?: string;
  readonly ratio: number;
  readonly difference: number;
}

export interface Figure {
  readonly subject: string;
  readonly program?: string;
  readonly quantity: string;
  readonly unit: string;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly beside: readonly Beside[];
  readonly aim?: Omit<Aim, 'subject' | 'quantity'> & { readonly isMet: boolean };
}

export interface Result {
  readonly bench: string;
  readonly summary: string;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly notes: readonly string[];
  readonly figures: readonly Figure[];
}

export interface Report {
  readonly machine: Machine;
  readonly benches: Result[];
}

/** Measures every subject once a round, forwards and backwards in turn, so that what drifts drifts for all. */
export async function measure(bench: Bench, options: BenchOptions): Promise<Result> {
  await using opened = new AsyncDisposableStack();
  const notes: string[] = [];
  const rounds = options.rounds ?? (options.isQuick ? bench.rounds.quick : bench.rounds.usual);
  options.say(`${bench.name}: ${bench.summary}`);
  const subjects = await bench.prepare(options, opened, (fact) => notes.push(fact));
  const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]));
  for (let round = 0; round < rounds; round += 1) {
    options.say(`  round ${round + 1} of ${rounds}`);
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      samples.get(subject)?.push(await subject.measure());
    }
  }
  return {
    bench: bench.name,
    summary: bench.summary,
    rounds,
    isQuick: options.isQuick,
    notes,
    figures: figuresOf(bench, samples),
  };
}

/** Every figure of what was measured. */
export function figuresOf(bench: Bench, samples: ReadonlyMap<Subject, readonly Sample[]>): Figure[] {
  return [...samples].flatMap(([subject, taken]) =>
    Object.entries(bench.units).flatMap(([quantity, unit]) => {
      const values = valuesOf(taken, quantity);
      if (values === undefined) return [];
      const beside = [...samples].flatMap(([other, others]) => {
        if (other === subject || !isHeldAgainst(subject, other, bench.baselines)) return [];
        const otherValues = valuesOf(others, quantity);
        // Of nothing there are no multiples.
        return otherValues === undefined || otherValues.includes(0)
          ? []
          : [besideOf(other, values, otherValues)];
      });
      const figure: Figure = {
        subject: subject.name,
        ...(subject.program === undefined ? {} : { program: subject.program.name }),
        quantity,
        unit,
        median: median(values),
        low: Math.min(...values),
        high: Math.max(...values),
        beside,
      };
      const aim = bench.aims?.find((each) => each.subject === subject.name && each.quantity === quantity);
      return aim === undefined ? [figure] : [{ ...figure, aim: heldTo(aim, figure) }];
    }),
  );
}

function valuesOf(samples: readonly Sample[], quantity: string): number[] | undefined {
  const values = samples.map((sample) => sample[quantity]);
  return values.length > 0 && values.every((value) => value !== undefined) ? values : undefined;
}

/** A baseline of the same program or of none, or the same subject in the other program. */
function isHeldAgainst(subject: Subject, other: Subject, baselines: readonly string[]): boolean {
  if (other.name === subject.name) return isLater(other, subject);
  if (!baselines.includes(other.name)) return false;
  // A baseline that comes later is held against this one instead, if at all.
  const rank = baselines.indexOf(subject.name);
  if (rank >= 0 && rank < baselines.indexOf(other.name)) return false;
  return other.program === undefined || other.program === subject.program;
}

function isLater(other: Subject, subject: Subject): boolean {
  return subject.program?.isHere === true && other.program?.isHere === false;
}

function besideOf(other: Subject, values: readonly number[], others: readonly number[]): Beside {
  const pairs = values.map((value, index) => [value, others[index] ?? Number.NaN] as const);
  return {
    subject: other.name,
    ...(other.program === undefined ? {} : { program: other.program.name }),
    ratio: median(pairs.map(([value, held]) => value / held)),
    difference: median(pairs.map(([value, held]) => value - held)),
  };
}

function heldTo({ most, above, times }: Aim, { median: value, beside }: Figure): Figure['aim'] & {} {
  const held = (name: string) => beside.find(({ subject }) => subject === name);
  if (above !== undefined) return { most, above, isMet: (held(above)?.difference ?? Infinity) <= most };
  if (times !== undefined) return { most, times, isMet: (held(times)?.ratio ?? Infinity) <= most };
  return { most, isMet: value <= most };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
