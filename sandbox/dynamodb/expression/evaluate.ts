import {
  type AttributeValue,
  compareValues,
  holds,
  type Item,
  isEqual,
  sizeOf,
  startsWith,
} from '../attribute-value.ts';
import type { Comparator, Condition, Operand } from './condition.ts';
import type { Path } from './syntax.ts';

/** Whether a condition is true of an item; an item that is not there has no attributes. */
export function isTrueOf(condition: Condition, item: Item): boolean {
  switch (condition.kind) {
    case 'and':
      return isTrueOf(condition.left, item) && isTrueOf(condition.right, item);
    case 'or':
      return isTrueOf(condition.left, item) || isTrueOf(condition.right, item);
    case 'not':
      return !isTrueOf(condition.of, item);
    case 'compare':
      return compares(condition.operator, valueOf(condition.left, item), valueOf(condition.right, item));
    case 'between': {
      const value = valueOf(condition.operand, item);
      return (
        compares('>=', value, valueOf(condition.low, item)) &&
        compares('<=', value, valueOf(condition.high, item))
      );
    }
    case 'in': {
      const value = valueOf(condition.operand, item);
      return condition.among.some((one) => compares('=', value, valueOf(one, item)));
    }
    case 'exists':
      return valueAt(condition.path, item) !== undefined;
    case 'not-exists':
      return valueAt(condition.path, item) === undefined;
    case 'is-type':
      return valueAt(condition.path, item)?.type === condition.type;
    case 'begins-with': {
      const [value, wanted] = [valueOf(condition.operand, item), valueOf(condition.wanted, item)];
      return value !== undefined && wanted !== undefined && startsWith(value, wanted);
    }
    case 'contains':
      break;
  }
  const [value, wanted] = [valueOf(condition.operand, item), valueOf(condition.wanted, item)];
  return value !== undefined && wanted !== undefined && holds(value, wanted);
}

/** The value at a path; undefined where there is none. */
export function valueAt(path: Path, item: Item): AttributeValue | undefined {
  let value: AttributeValue | undefined = { type: 'M', value: item };
  for (const step of path) {
    if (typeof step === 'string') value = value.type === 'M' ? value.value.get(step) : undefined;
    else value = value.type === 'L' ? value.value[step] : undefined;
    if (value === undefined) return undefined;
  }
  return value;
}

function valueOf(operand: Operand, item: Item): AttributeValue | undefined {
  if (operand.kind === 'value') return operand.value;
  if (operand.kind === 'path') return valueAt(operand.path, item);
  const value = valueOf(operand.of, item);
  const size = value === undefined ? undefined : sizeOf(value);
  return size === undefined ? undefined : { type: 'N', value: String(size) };
}

/** An attribute that is not there compares with nothing, except that it differs from everything. */
function compares(
  operator: Comparator,
  left: AttributeValue | undefined,
  right: AttributeValue | undefined,
): boolean {
  if (operator === '<>') return left === undefined || right === undefined || !isEqual(left, right);
  if (left === undefined || right === undefined) return false;
  if (operator === '=') return isEqual(left, right);
  const order = compareValues(left, right);
  if (order === undefined) return false;
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}
