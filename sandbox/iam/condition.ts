import { literally, operatorOf } from './operators.ts';
import type { Condition } from './policy-document.ts';

/** What is known of a call, by condition key in small letters. A key that is not known of this call is absent. */
export type ConditionKeys = ReadonlyMap<string, readonly string[]>;

/**
 * Whether all conditions of a statement hold: all operators and keys, any of a key's values.
 * "IAM JSON policy elements: Condition operators".
 */
export function conditionsHold(conditions: readonly Condition[], keys: ConditionKeys): boolean {
  return conditions.every((condition) => holds(condition, keys));
}

function holds({ operator: name, key, values: wantedTexts }: Condition, keys: ConditionKeys): boolean {
  const operator = operatorOf(name);
  if (operator === undefined) throw new TypeError(`a policy with the operator ${name} was let in`);
  const { quantifier, ifExists, isPattern, kind } = operator;
  const values = keys.get(key.toLowerCase());
  if (kind === 'null') return wantedTexts.includes(String(values === undefined));

  const { test, isNegative } = kind;
  // A variable that has no value makes the text match nothing.
  const wanted = wantedTexts.flatMap((text) => substituted(text, keys, isPattern) ?? []);
  const isMet = (value: string): boolean => wanted.some((one) => test(value, one)) !== isNegative;
  if (quantifier === 'forallvalues') return (values ?? []).every(isMet);
  if (quantifier === 'foranyvalue') return (values ?? []).some(isMet);
  if (values === undefined) return ifExists || isNegative;
  return isNegative ? values.every(isMet) : values.some(isMet);
}

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
