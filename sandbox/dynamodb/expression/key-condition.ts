import { validationException } from '../../constraints.ts';
import { type AttributeValue, compareValues, startsWith } from '../attribute-value.ts';
import type { KeyAttribute, TableKey } from '../state.ts';
import { type Comparator, type Condition, type Operand, parseCondition } from './condition.ts';
import type { Placeholders } from './placeholders.ts';

/** Which items of one partition a query wants. */
export interface KeyCondition {
  readonly partition: AttributeValue;
  /** Whether the sort key is one of those wanted. */
  isWanted(sort: AttributeValue): boolean;
}

interface OneCondition {
  readonly attribute: string;
  readonly values: readonly AttributeValue[];
  readonly isEquality: boolean;
  test(value: AttributeValue): boolean;
}

/** @throws AwsError ValidationException */
export function parseKeyCondition(expression: string, key: TableKey, given: Placeholders): KeyCondition {
  const conditions = flattened(parseCondition('KeyConditionExpression', expression, given)).map(oneCondition);
  const names = conditions.map(({ attribute }) => attribute);
  if (new Set(names).size !== names.length) {
    throw validationException('KeyConditionExpressions must only contain one condition per key');
  }
  const partition = conditions.find(({ attribute }) => attribute === key.partition.name);
  if (partition === undefined) {
    throw validationException(`Query condition missed key schema element: ${key.partition.name}`);
  }
  const sort = conditions.find((one) => one !== partition);
  if (sort !== undefined && sort.attribute !== key.sort?.name) {
    throw conditions.length > (key.sort === undefined ? 1 : 2)
      ? notSupported()
      : validationException(`Query condition missed key schema element: ${key.sort?.name ?? sort.attribute}`);
  }
  if (conditions.length > 2) throw notSupported();
  if (!partition.isEquality) throw notSupported();
  assertTypes(partition, key.partition);
  if (sort !== undefined && key.sort !== undefined) assertTypes(sort, key.sort);

  const [value] = partition.values;
  if (value === undefined) throw notSupported();
  return { partition: value, isWanted: (wanted) => sort?.test(wanted) ?? true };
}

function flattened(condition: Condition): readonly Condition[] {
  if (condition.kind === 'and') return [...flattened(condition.left), ...flattened(condition.right)];
  return [condition];
}

const mirrored: Readonly<Record<Comparator, Comparator>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

function oneCondition(condition: Condition): OneCondition {
  switch (condition.kind) {
    case 'compare': {
      if (condition.operator === '<>') throw invalidOperator('<>');
      const isTurned = condition.left.kind === 'value';
      const [path, value] = isTurned ? [condition.right, condition.left] : [condition.left, condition.right];
      const operator = isTurned ? mirrored[condition.operator] : condition.operator;
      const limit = literal(value);
      return {
        attribute: topLevel(path),
        values: [limit],
        isEquality: operator === '=',
        test: (sort) => isInOrder(operator, compareValues(sort, limit)),
      };
    }
    case 'between': {
      const [low, high] = [literal(condition.low), literal(condition.high)];
      return {
        attribute: topLevel(condition.operand),
        values: [low, high],
        isEquality: false,
        test: (sort) =>
          isInOrder('>=', compareValues(sort, low)) && isInOrder('<=', compareValues(sort, high)),
      };
    }
    case 'begins-with': {
      const start = literal(condition.wanted);
      return {
        attribute: topLevel(condition.operand),
        values: [start],
        isEquality: false,
        test: (sort) => startsWith(sort, start),
      };
    }
    case 'or':
    case 'and':
    case 'not':
    case 'in':
      throw invalidOperator(condition.kind.toUpperCase());
    case 'contains':
      throw invalidOperator('contains');
    case 'exists':
      throw invalidOperator('attribute_exists');
    case 'not-exists':
      throw invalidOperator('attribute_not_exists');
    case 'is-type':
      break;
  }
  throw invalidOperator('attribute_type');
}

function isInOrder(operator: Comparator, order: number | undefined): boolean {
  if (order === undefined) return false;
  if (operator === '=') return order === 0;
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

function topLevel(operand: Operand): string {
  if (operand.kind === 'size') {
    throw validationException('KeyConditionExpressions cannot contain nested operations');
  }
  if (operand.kind === 'value') {
    throw validationException('Invalid condition in KeyConditionExpression: No key attribute specified');
  }
  if (operand.path.length > 1) {
    throw validationException('KeyConditionExpressions cannot have conditions on nested attributes');
  }
  return operand.path[0];
}

function literal(operand: Operand): AttributeValue {
  if (operand.kind === 'value') return operand.value;
  throw validationException(
    operand.kind === 'path'
      ? 'Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition'
      : 'KeyConditionExpressions cannot contain nested operations',
  );
}

function assertTypes({ values }: OneCondition, { type }: KeyAttribute): void {
  if (values.every((value) => value.type === type)) return;
  throw validationException(
    'One or more parameter values were invalid: Condition parameter type does not match schema type',
  );
}

function invalidOperator(operator: string): Error {
  return validationException(`Invalid operator used in KeyConditionExpression: ${operator}`);
}

function notSupported(): Error {
  return validationException('Query key condition not supported');
}
