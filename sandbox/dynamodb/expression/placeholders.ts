import { validationException } from '../../constraints.ts';
import type { AttributeValue, Item } from '../attribute-value.ts';

/** What the placeholders of one request stand for. Every one given must be used by one of its expressions. */
export interface Placeholders {
  /** Undefined where none of that name was given. */
  name(placeholder: string): string | undefined;
  value(placeholder: string): AttributeValue | undefined;
  /** @throws AwsError ValidationException for one that no expression used */
  assertAllUsed(): void;
}

/** @throws AwsError ValidationException for placeholders that are none */
export function placeholders(
  names: ReadonlyMap<string, string> | undefined,
  values: Item | undefined,
): Placeholders {
  assertKeys('ExpressionAttributeNames', names, /^#[A-Za-z0-9_]+$/u);
  assertKeys('ExpressionAttributeValues', values, /^:[A-Za-z0-9_]+$/u);
  const [unusedNames, unusedValues] = [new Set(names?.keys()), new Set(values?.keys())];
  return {
    name(placeholder) {
      unusedNames.delete(placeholder);
      return names?.get(placeholder);
    },
    value(placeholder) {
      unusedValues.delete(placeholder);
      return values?.get(placeholder);
    },
    assertAllUsed() {
      assertNone('ExpressionAttributeNames', unusedNames);
      assertNone('ExpressionAttributeValues', unusedValues);
    },
  };
}

function assertKeys(what: string, given: ReadonlyMap<string, unknown> | undefined, pattern: RegExp): void {
  if (given === undefined) return;
  if (given.size === 0) throw validationException(`${what} must not be empty`);
  for (const key of given.keys()) {
    if (!pattern.test(key))
      throw validationException(`${what} contains invalid key: Syntax error; key: "${key}"`);
  }
}

function assertNone(what: string, unused: ReadonlySet<string>): void {
  if (unused.size === 0) return;
  throw validationException(
    `Value provided in ${what} unused in expressions: keys: {${[...unused].join(', ')}}`,
  );
}
