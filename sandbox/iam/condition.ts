import { AwsError } from '../service.ts';
import type { Condition } from './policy-document.ts';

/** What is known of a call, by condition key in small letters. A key that is not known of this call is absent. */
export type ConditionKeys = ReadonlyMap<string, readonly string[]>;

/**
 * Whether all conditions of a statement hold: all operators and keys, any of a key's values.
 * "IAM JSON policy elements: Condition operators".
 * @throws AwsError UnsupportedOperationException for an operator the sandbox has not
 */
export function conditionsHold(conditions: readonly Condition[], keys: ConditionKeys): boolean {
  return conditions.every((condition) => holds(condition, keys));
}

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

function holds({ operator, key, values: wantedTexts }: Condition, keys: ConditionKeys): boolean {
  const [, quantifier, name = '', ifExists] =
    /^(?:(forallvalues|foranyvalue):)?(\w+?)(ifexists)?$/u.exec(operator.toLowerCase()) ?? [];
  const values = keys.get(key.toLowerCase());
  if (name === 'null') return wantedTexts.includes(String(values === undefined));

  const isNegative = Object.hasOwn(negations, name);
  const test = tests[negations[name] ?? name];
  if (test === undefined) {
    throw new AwsError('UnsupportedOperationException', `The sandbox has no condition operator ${operator}.`);
  }
  const wanted = wantedTexts.flatMap((text) => substituted(text, keys, name.endsWith('like')) ?? []);
  // A variable that has no value makes the text match nothing.
  const isMet = (value: string): boolean => wanted.some((one) => test(value, one)) !== isNegative;

  if (quantifier === 'forallvalues') return (values ?? []).every(isMet);
  if (quantifier === 'foranyvalue') return (values ?? []).some(isMet);
  if (values === undefined) return ifExists !== undefined || isNegative;
  return isNegative ? values.every(isMet) : values.some(isMet);
}

/** Of private use, so that no policy has it. */
const literally = '\uE000';

/** The text with its `${KEY}` and `${KEY, 'default'}` replaced; undefined where one has no value. */
export function substituted(text: string, keys: ConditionKeys, isPattern: boolean): string | undefined {
  let isMissing = false;
  const result = text.replace(/\$\{([^}]*)\}/gu, (_whole, variable: string) => {
    if (variable === '*' || variable === '?' || variable === '$') {
      return isPattern && variable !== '$' ? `${literally}${variable}` : variable;
    }
    const [, key = variable, fallback] = /^([^,]+?)\s*,\s*'([^']*)'$/u.exec(variable) ?? [];
    const values = keys.get(key.trim().toLowerCase());
    const value = values?.length === 1 ? values[0] : fallback;
    if (value === undefined) isMissing = true;
    // What a caller brings is never a wildcard.
    return isPattern ? (value ?? '').replace(/[*?\uE000]/gu, `${literally}$&`) : (value ?? '');
  });
  return isMissing ? undefined : result;
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
