/**
 * A service's state as JSON text and back. Beside plain data it keeps Map, Set, Date, Buffer, bigint and undefined;
 * anything else (a function, a class of its own) is refused rather than lost.
 */
export function stateText(state: unknown): string {
  return JSON.stringify(tagged(state));
}

export function parseStateText(text: string): unknown {
  return untagged(JSON.parse(text));
}

/** Marks an object that stands for something JSON has not; chosen so that no state has such a member. */
const tag = '$sandbox';

function tagged(value: unknown): unknown {
  if (value === undefined) return { [tag]: 'undefined' };
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return { [tag]: 'number', value: '-0' };
    return Number.isFinite(value) ? value : { [tag]: 'number', value: `${value}` };
  }
  if (typeof value === 'bigint') return { [tag]: 'bigint', value: value.toString() };
  if (Array.isArray(value)) return value.map(tagged);
  if (typeof value !== 'object') throw new TypeError(`a ${typeof value} cannot be kept`);
  if (value instanceof Date) return { [tag]: 'date', value: value.toISOString() };
  if (value instanceof Uint8Array) return { [tag]: 'bytes', value: Buffer.from(value).toString('base64') };
  if (value instanceof Map) {
    return { [tag]: 'map', value: [...value].map(([key, entry]) => [tagged(key), tagged(entry)]) };
  }
  if (value instanceof Set) return { [tag]: 'set', value: [...value].map(tagged) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`a ${value.constructor.name} cannot be kept`);
  }
  if (Object.hasOwn(value, tag)) throw new TypeError(`a member named ${tag} cannot be kept`);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, tagged(member)]));
}

function untagged(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(untagged);
  if (!(tag in value)) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, untagged(member)]));
  }
  const { [tag]: kind, value: content } = value as { [tag]: unknown; value?: unknown };
  if (kind === 'undefined') return undefined;
  if (kind === 'map' && Array.isArray(content)) {
    return new Map(content.map(([key, entry]): [unknown, unknown] => [untagged(key), untagged(entry)]));
  }
  if (kind === 'set' && Array.isArray(content)) return new Set(content.map(untagged));
  if (typeof content === 'string') {
    if (kind === 'number') return Number(content);
    if (kind === 'bigint') return BigInt(content);
    if (kind === 'date') return new Date(content);
    if (kind === 'bytes') return Buffer.from(content, 'base64');
  }
  throw new TypeError(`unknown kind of value: ${String(kind)}`);
}
