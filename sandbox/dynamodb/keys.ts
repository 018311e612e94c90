import { validationException } from '../constraints.ts';
import { type AttributeValue, type Item, sizeOf } from './attribute-value.ts';
import { invalidParameter, type KeyAttribute, keyAttributes, type TableKey } from './state.ts';

/** "Partition key … 2048 bytes", "sort key … 1024 bytes" (constraints of DynamoDB). */
const partitionBytesMax = 2048;
const sortBytesMax = 1024;

/** The key of an item that is to be put. @throws AwsError ValidationException */
export function keyOfItem(item: Item, key: TableKey): Item {
  const attributes = keyAttributes(key).map((attribute): [string, AttributeValue] => {
    const value = item.get(attribute.name);
    if (value === undefined) throw invalidParameter(`Missing the key ${attribute.name} in the item`);
    if (value.type !== attribute.type) {
      throw invalidParameter(
        `Type mismatch for key ${attribute.name} expected: ${attribute.type} actual: ${value.type}`,
      );
    }
    return [attribute.name, value];
  });
  return sized(new Map(attributes), key);
}

/** A key as a request gives it: its attributes and no others. @throws AwsError ValidationException */
export function givenKey(given: Item, key: TableKey): Item {
  const attributes = keyAttributes(key);
  const isKey =
    given.size === attributes.length && attributes.every(({ name, type }) => given.get(name)?.type === type);
  if (!isKey) throw validationException('The provided key element does not match the schema');
  return sized(given, key);
}

function sized(given: Item, { partition, sort }: TableKey): Item {
  if (bytesOf(given, partition) > partitionBytesMax) {
    throw invalidParameter(
      `Size of hashkey has exceeded the maximum size limit of${partitionBytesMax} bytes`,
    );
  }
  if (sort !== undefined && bytesOf(given, sort) > sortBytesMax) {
    throw invalidParameter(
      `Aggregated size of all range keys has exceeded the size limit of ${sortBytesMax} bytes`,
    );
  }
  return given;
}

function bytesOf(given: Item, { name }: KeyAttribute): number {
  const value = given.get(name);
  const bytes = value === undefined ? undefined : sizeOf(value);
  if (bytes === 0) {
    const what = value?.type === 'B' ? 'binary' : 'string';
    throw validationException(
      `One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ${what} value. Key: ${name}`,
    );
  }
  return bytes ?? 0;
}
