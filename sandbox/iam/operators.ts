/** How IAM compares: condition operators by their names in small letters, and patterns. */

/** Of private use, so that no policy has it. */
export const literally = '\uE000';

type Test = (value: string, wanted: string) => boolean;

const number = (compare: (a: number, b: number) => boolean): Test => {
  return (value, wanted) => value !== '' && wanted !== '' && compare(Number(value), Number(wanted));
};
const date = (compare: (a: number, b: number) => boolean): Test => {
  return (value, wanted) => compare(timeOf(value), timeOf(wanted));
};

const tests: Readonly<Record<string, Test>> = {
  stringequals: (value, wanted) => value === wanted,
  stringequalsignorecase: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
  stringlike: (value, wanted) => isLike(value, wanted),
  arnequals: (value, wanted) => isArnLike(value, wanted),
  arnlike: (value, wanted) => isArnLike(value, wanted),
  bool: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
  numericequals: number((a, b) => a === b),
  numericlessthan: number((a, b) => a < b),
  numericlessthanequals: number((a, b) => a <= b),
  numericgreaterthan: number((a, b) => a > b),
  numericgreaterthanequals: number((a, b) => a >= b),
  dateequals: date((a, b) => a === b),
  datelessthan: date((a, b) => a < b),
  datelessthanequals: date((a, b) => a <= b),
  dategreaterthan: date((a, b) => a > b),
  dategreaterthanequals: date((a, b) => a >= b),
};

const negations: Readonly<Record<string, string>> = {
  stringnotequals: 'stringequals',
  stringnotequalsignorecase: 'stringequalsignorecase',
  stringnotlike: 'stringlike',
  arnnotequals: 'arnequals',
  arnnotlike: 'arnlike',
  numericnotequals: 'numericequals',
  datenotequals: 'dateequals',
};

/** An operator taken apart; undefined where it is none that is known here. */
export interface Operator {
  readonly quantifier: 'forallvalues' | 'foranyvalue' | undefined;
  readonly ifExists: boolean;
  /** Whether its values are patterns. */
  readonly isPattern: boolean;
  /** `null` asks whether the key is there at all. */
  readonly kind: 'null' | { readonly test: Test; readonly isNegative: boolean };
}

export function operatorOf(name: string): Operator | undefined {
  const [, quantifier, plain = '', ifExists] =
    /^(?:(forallvalues|foranyvalue):)?(\w+?)(ifexists)?$/u.exec(name.toLowerCase()) ?? [];
  const shared: Omit<Operator, 'kind'> = {
    quantifier: quantifier === 'forallvalues' || quantifier === 'foranyvalue' ? quantifier : undefined,
    ifExists: ifExists !== undefined,
    isPattern: plain.endsWith('like'),
  };
  if (plain === 'null') return { ...shared, kind: 'null' };
  const positive = Object.hasOwn(negations, plain) ? negations[plain] : plain;
  const test = positive !== undefined && Object.hasOwn(tests, positive) ? tests[positive] : undefined;
  return test === undefined ? undefined : { ...shared, kind: { test, isNegative: positive !== plain } };
}

export function isOperator(name: string): boolean {
  return operatorOf(name) !== undefined;
}

/** Whether a text fits a pattern of `*` and `?`; a sign after `literally` is no wildcard. */
export function isLike(text: string, pattern: string): boolean {
  const source = pattern.replace(/\uE000?[\s\S]/gu, (piece) => {
    if (piece === '*') return '[\\s\\S]*';
    if (piece === '?') return '[\\s\\S]';
    return RegExp.escape(piece.at(-1) ?? '');
  });
  return new RegExp(`^${source}$`, 'u').test(text);
}

/** As `isLike`, each of the six parts by itself. */
export function isArnLike(arn: string, pattern: string): boolean {
  const [parts, patterns] = [partsOf(arn), partsOf(pattern)];
  return parts.length === patterns.length && patterns.every((one, index) => isLike(parts[index] ?? '', one));
}

function partsOf(arn: string): readonly string[] {
  const parts = arn.split(':');
  return [...parts.slice(0, 5), parts.slice(5).join(':')];
}

function timeOf(text: string): number {
  return /^\d+$/u.test(text) ? Number(text) * 1000 : Date.parse(text);
}
