import { validationException } from '../../constraints.ts';
import type { AwsError } from '../../service.ts';
import { type AttributeValue, type Item, isSet } from '../attribute-value.ts';
import { addDecimals, decimalText, negated, parseDecimal } from '../decimal.ts';
import { valueAt } from './evaluate.ts';
import type { Path } from './syntax.ts';
import type { Change, SetOperand } from './update.ts';

/**
 * The item after all changes. Every operand is read from the item as it was before.
 * @throws AwsError ValidationException for what the item does not allow
 */
export function changed(item: Item, changes: readonly Change[]): Item {
  // Removed elements shift those after them, so lists are cut from their ends, and after everything was set.
  const removals = changes.filter(({ kind }) => kind === 'remove').toSorted(lastIndexFirst);
  const others = changes.filter(({ kind }) => kind !== 'remove');
  return [...others, ...removals].reduce<Item>((result, change) => applied(result, change, item), item);
}

function applied(item: Item, change: Change, before: Item): Item {
  switch (change.kind) {
    case 'set':
      return put(item, change.path, resolved(change.to, before));
    case 'remove':
      return put(item, change.path, undefined);
    case 'add':
      return put(item, change.path, added(valueAt(change.path, before), change.value));
    case 'delete':
      break;
  }
  const value = valueAt(change.path, before);
  return value === undefined ? item : put(item, change.path, without(value, change.value));
}

function resolved(operand: SetOperand, before: Item): AttributeValue {
  switch (operand.kind) {
    case 'value':
      return operand.value;
    case 'path': {
      const value = valueAt(operand.path, before);
      if (value === undefined) {
        throw validationException(
          'The provided expression refers to an attribute that does not exist in the item',
        );
      }
      return value;
    }
    case 'if-not-exists':
      return valueAt(operand.path, before) ?? resolved(operand.otherwise, before);
    case 'list-append': {
      const [left, right] = [resolved(operand.left, before), resolved(operand.right, before)];
      if (left.type !== 'L' || right.type !== 'L') throw wrongType();
      return { type: 'L', value: [...left.value, ...right.value] };
    }
    case 'plus':
    case 'minus':
      break;
  }
  const [left, right] = [resolved(operand.left, before), resolved(operand.right, before)];
  return total(left, right, operand.kind === 'minus');
}

function total(left: AttributeValue, right: AttributeValue, isLess: boolean): AttributeValue {
  if (left.type !== 'N' || right.type !== 'N') throw wrongType();
  const by = parseDecimal(right.value);
  const sum = addDecimals(parseDecimal(left.value), isLess ? negated(by) : by);
  return { type: 'N', value: decimalText(sum) };
}

function added(value: AttributeValue | undefined, more: AttributeValue): AttributeValue {
  if (value === undefined) return more;
  if (more.type === 'N') return total(value, more, false);
  if (!isSet(value) || !isSet(more) || value.type !== more.type) throw wrongType();
  return { type: value.type, value: [...new Set([...value.value, ...more.value])] };
}

/** A set that loses its last element is gone. */
function without(value: AttributeValue, fewer: AttributeValue): AttributeValue | undefined {
  if (!isSet(value) || !isSet(fewer) || value.type !== fewer.type) throw wrongType();
  const gone = new Set(fewer.value);
  const left = value.value.filter((element) => !gone.has(element));
  return left.length === 0 ? undefined : { type: value.type, value: left };
}

/** The item with another value at a path, or none. Only the last step may be one that is not there yet. */
function put(item: Item, path: Path, value: AttributeValue | undefined): Item {
  const result = within({ type: 'M', value: item }, path, value);
  if (result.type !== 'M') throw new TypeError('an item became something else');
  return result.value;
}

function within(
  holder: AttributeValue,
  [step, ...rest]: readonly (string | number)[],
  value: AttributeValue | undefined,
): AttributeValue {
  if (typeof step === 'string' && holder.type === 'M') {
    const members = new Map(holder.value);
    const inner = nested(members.get(step), rest, value);
    if (inner === undefined) members.delete(step);
    else members.set(step, inner);
    return { type: 'M', value: members };
  }
  if (typeof step === 'number' && holder.type === 'L') {
    const elements = [...holder.value];
    const inner = nested(elements[step], rest, value);
    // "If you specify an index beyond the end of the list, the element is added at its end."
    if (inner === undefined) elements.splice(step, 1);
    else elements[Math.min(step, elements.length)] = inner;
    return { type: 'L', value: elements };
  }
  throw invalidPath();
}

function nested(
  at: AttributeValue | undefined,
  rest: readonly (string | number)[],
  value: AttributeValue | undefined,
): AttributeValue | undefined {
  if (rest.length === 0) return value;
  if (at === undefined) throw invalidPath();
  return within(at, rest, value);
}

function lastIndexFirst(a: Change, b: Change): number {
  for (const [position, step] of a.path.entries()) {
    const other = b.path[position];
    if (typeof step === 'number' && typeof other === 'number' && step !== other) return other - step;
  }
  return 0;
}

function invalidPath(): AwsError {
  return validationException('The document path provided in the update expression is invalid for update');
}

function wrongType(): AwsError {
  return validationException('An operand in the update expression has an incorrect data type');
}
