import { type Member, validationException } from '../constraints.ts';
import { AwsError, type JsonObject, type JsonValue } from '../service.ts';
import { compareDecimals, decimalBytes, decimalText, parseDecimal } from './decimal.ts';

/** An attribute's value. Numbers are in DynamoDB's own form, so equal numbers are equal texts; bytes are base64. */
export type AttributeValue =
  | { readonly type: 'S' | 'N' | 'B'; readonly value: string }
  | { readonly type: 'BOOL'; readonly value: boolean }
  | { readonly type: 'NULL'; readonly value: true }
  | { readonly type: SetType; readonly value: readonly string[] }
  | { readonly type: 'L'; readonly value: readonly AttributeValue[] }
  | { readonly type: 'M'; readonly value: Item };

export type SetType = 'SS' | 'NS' | 'BS';
export type AttributeType = AttributeValue['type'];

/** Attributes by name. Never changed: an update makes another. */
export type Item = ReadonlyMap<string, AttributeValue>;

export const attributeTypes: readonly AttributeType[] = [
  'S',
  'N',
  'B',
  'BOOL',
  'NULL',
  'SS',
  'NS',
  'BS',
  'L',
  'M',
];

/** "Up to 32 levels deep" (constraints of DynamoDB). */
const depthMax = 32;

const setElement: Readonly<Record<SetType, 'S' | 'N' | 'B'>> = { SS: 'S', NS: 'N', BS: 'B' };

export function isSet(value: AttributeValue): value is Extract<AttributeValue, { type: SetType }> {
  return Object.hasOwn(setElement, value.type);
}

/** The text that tells a key's values apart; empty for what cannot be in a key. */
export function scalarText(value: AttributeValue | undefined): string {
  return value?.type === 'S' || value?.type === 'N' || value?.type === 'B' ? value.value : '';
}

/** A map of attribute values: an item, a key, the values of an expression. Breaks rules of its own. */
export function attributes(): Member<Item> {
  return {
    read(json) {
      if (json === undefined) return undefined;
      return itemOf(json, 1);
    },
  };
}

export function wireItem(item: Item): JsonObject {
  return Object.fromEntries([...item].map(([name, value]) => [name, wireValue(value)]));
}

export function wireValue(value: AttributeValue): JsonObject {
  if (value.type === 'L') return { L: value.value.map(wireValue) };
  if (value.type === 'M') return { M: wireItem(value.value) };
  return { [value.type]: value.value };
}

/** "Item sizes and formats": names and values in bytes, three bytes and one per element for what is nested. */
export function itemBytes(item: Item): number {
  let bytes = 0;
  for (const [name, value] of item) bytes += Buffer.byteLength(name) + valueBytes(value);
  return bytes;
}

/** The size of a value as the function `size` of an expression says it; undefined where it has none. */
export function sizeOf(value: AttributeValue): number | undefined {
  switch (value.type) {
    case 'S':
      return Buffer.byteLength(value.value);
    case 'B':
      return Buffer.byteLength(value.value, 'base64');
    case 'SS':
    case 'NS':
    case 'BS':
    case 'L':
      return value.value.length;
    case 'M':
      return value.value.size;
    case 'N':
    case 'BOOL':
    case 'NULL':
      break;
  }
  return undefined;
}

/** Sets are equal whatever their order, as maps are. */
export function isEqual(a: AttributeValue, b: AttributeValue): boolean {
  if (a.type === 'M') {
    if (b.type !== 'M' || a.value.size !== b.value.size) return false;
    return [...a.value].every(([name, value]) => {
      const other = b.value.get(name);
      return other !== undefined && isEqual(value, other);
    });
  }
  if (a.type === 'L') {
    if (b.type !== 'L' || a.value.length !== b.value.length) return false;
    return a.value.every((value, index) => {
      const other = b.value[index];
      return other !== undefined && isEqual(value, other);
    });
  }
  if (isSet(a)) {
    if (!isSet(b) || a.type !== b.type || a.value.length !== b.value.length) return false;
    const others = new Set(b.value);
    return a.value.every((element) => others.has(element));
  }
  return a.type === b.type && a.value === b.value;
}

/** The order of two scalars of one type: of text by its UTF-8 bytes. Undefined where they have none. */
export function compareValues(a: AttributeValue, b: AttributeValue): number | undefined {
  if (a.type !== b.type) return undefined;
  if (a.type === 'N' && b.type === 'N') return compareDecimals(parseDecimal(a.value), parseDecimal(b.value));
  if (a.type === 'S' && b.type === 'S') return Buffer.compare(Buffer.from(a.value), Buffer.from(b.value));
  if (a.type === 'B' && b.type === 'B') return Buffer.compare(bytesOf(a.value), bytesOf(b.value));
  return undefined;
}

/** Whether text or bytes begin with others of their kind. */
export function startsWith(value: AttributeValue, start: AttributeValue): boolean {
  if (value.type === 'S' && start.type === 'S') return value.value.startsWith(start.value);
  if (value.type !== 'B' || start.type !== 'B') return false;
  const wanted = bytesOf(start.value);
  return bytesOf(value.value).subarray(0, wanted.length).equals(wanted);
}

/** Whether a text holds another, bytes others, a set or list an element. */
export function holds(value: AttributeValue, wanted: AttributeValue): boolean {
  if (value.type === 'S' && wanted.type === 'S') return value.value.includes(wanted.value);
  if (value.type === 'B' && wanted.type === 'B') return bytesOf(value.value).includes(bytesOf(wanted.value));
  if (isSet(value)) return setElement[value.type] === wanted.type && value.value.includes(scalarText(wanted));
  return value.type === 'L' && value.value.some((element) => isEqual(element, wanted));
}

/** How AWS writes a value into the message of an error: `{S:text}`. */
export function shownValue(value: AttributeValue): string {
  const { type } = value;
  if (type === 'M')
    return `{M:{${[...value.value].map(([name, one]) => `${name}=${shownValue(one)}`).join(', ')}}}`;
  if (type === 'L') return `{L:[${value.value.map(shownValue).join(', ')}]}`;
  if (isSet(value)) return `{${type}:[${value.value.join(',')}]}`;
  return `{${type}:${String(value.value)}}`;
}

function itemOf(json: JsonValue, depth: number): Item {
  if (!isObject(json)) throw wrongType(json);
  const item = new Map<string, AttributeValue>();
  for (const [name, value] of Object.entries(json)) {
    if (value === undefined) continue;
    if (!name.isWellFormed()) throw new AwsError('SerializationException', 'Invalid UTF-8 string');
    item.set(name, valueOf(value, depth));
  }
  return item;
}

function valueOf(json: JsonValue, depth: number): AttributeValue {
  if (!isObject(json)) throw wrongType(json);
  // AWS ignores members that it does not know, and those that are null.
  const given = attributeTypes.filter((type) => Object.hasOwn(json, type) && (json[type] ?? null) !== null);
  const [type, second] = given;
  if (type === undefined) {
    throw validationException(
      'Supplied AttributeValue is empty, must contain exactly one of the supported datatypes',
    );
  }
  if (second !== undefined) {
    throw validationException(
      'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes',
    );
  }
  if (depth > depthMax) throw validationException('Nesting Levels have exceeded supported limits');
  const content = json[type] ?? null;
  switch (type) {
    case 'S':
    case 'N':
    case 'B':
      return { type, value: scalar(type, content) };
    case 'BOOL':
      if (typeof content !== 'boolean') throw wrongType(content);
      return { type, value: content };
    case 'NULL':
      if (typeof content !== 'boolean') throw wrongType(content);
      if (!content) throw invalid('Null attribute value types must have the value of true');
      return { type, value: content };
    case 'SS':
    case 'NS':
    case 'BS':
      return { type, value: setOf(type, content) };
    case 'L':
      if (!isList(content)) throw wrongType(content);
      return { type, value: content.map((element) => valueOf(element, depth + 1)) };
    case 'M':
      break;
  }
  return { type, value: itemOf(content, depth + 1) };
}

function setOf(type: SetType, content: JsonValue): readonly string[] {
  if (!isList(content)) throw wrongType(content);
  const elements = content.map((element) => scalar(setElement[type], element));
  if (elements.length === 0) {
    throw invalid(
      type === 'BS'
        ? 'Binary sets should not be empty'
        : `An ${type === 'SS' ? 'string' : 'number'} set  may not be empty`,
    );
  }
  if (new Set(elements).size !== elements.length) {
    if (type === 'NS') throw validationException('Input collection contains duplicates');
    throw invalid(
      `Input collection [${elements.join(', ')}]${type === 'BS' ? 'of type BS' : ''} contains duplicates.`,
    );
  }
  return elements;
}

function scalar(type: 'S' | 'N' | 'B', content: JsonValue): string {
  if (typeof content !== 'string') throw wrongType(content);
  if (!content.isWellFormed()) throw new AwsError('SerializationException', 'Invalid UTF-8 string');
  if (type === 'N') return decimalText(parseDecimal(content));
  if (type === 'B' && bytesOf(content).toString('base64') !== content) {
    throw new AwsError('SerializationException', 'Blob value is not valid base64');
  }
  return content;
}

function valueBytes(value: AttributeValue): number {
  switch (value.type) {
    case 'S':
      return Buffer.byteLength(value.value);
    case 'N':
      return decimalBytes(parseDecimal(value.value));
    case 'B':
      return Buffer.byteLength(value.value, 'base64');
    case 'BOOL':
    case 'NULL':
      return 1;
    case 'SS':
    case 'NS':
    case 'BS': {
      const type = setElement[value.type];
      return value.value.reduce((sum, element) => sum + valueBytes({ type, value: element }), 0);
    }
    case 'L':
      return value.value.reduce((sum, element) => sum + 1 + valueBytes(element), 3);
    case 'M':
      break;
  }
  return 3 + value.value.size + itemBytes(value.value);
}

function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}

function invalid(message: string): AwsError {
  return validationException(`One or more parameter values were invalid: ${message}`);
}

function isObject(json: JsonValue): json is JsonObject {
  return json !== null && typeof json === 'object' && !isList(json);
}

function isList(json: JsonValue): json is readonly JsonValue[] {
  return Array.isArray(json);
}

function wrongType(json: JsonValue): AwsError {
  const isScalar = json === null || typeof json !== 'object';
  return new AwsError(
    'SerializationException',
    isScalar
      ? `${json === null ? 'NULL' : typeof json}_VALUE cannot be converted to AttributeValue`.toUpperCase()
      : 'Start of structure or map found where not expected',
  );
}
