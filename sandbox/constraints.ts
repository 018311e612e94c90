import { AwsError, type JsonObject, type JsonValue } from './service.ts';

/**
 * What AWS's service models say of an operation's input, and the refusals that follow from it: all members in breach
 * in one ValidationException, a value of the wrong JSON type a SerializationException. Unknown members are ignored,
 * as AWS ignores them.
 */
export interface Member<Value> {
  /** The value of `json`; `undefined` where there is none, or where a breach was added to `breaches`. */
  read(json: JsonValue | undefined, path: string, breaches: string[]): Value | undefined;
  readonly required?: boolean;
}

type Shape = Readonly<Record<string, Member<unknown>>>;

/** The members of a shape, read: optional ones may be undefined. */
export type Values<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Member<infer Value>
    ? S[K] extends { readonly required: true }
      ? Value
      : Value | undefined
    : never;
};

interface TextLimits {
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: RegExp;
  readonly oneOf?: readonly string[];
  /** The refusal does not repeat the value. */
  readonly sensitive?: boolean;
  /** The limits count bytes of UTF-8 instead of characters. */
  readonly inBytes?: boolean;
}

/** Reads an operation's input. @throws AwsError ValidationException or SerializationException */
export function read<S extends Shape>(shape: S, input: JsonObject): Values<S> {
  const breaches: string[] = [];
  const values = readMembers(shape, input, '', breaches);
  if (values !== undefined) return values;
  const count = `${breaches.length} validation error${breaches.length === 1 ? '' : 's'}`;
  throw validationException(`${count} detected: ${breaches.join('; ')}`);
}

export function validationException(message: string): AwsError {
  return new AwsError('ValidationException', message);
}

export function required<Value>(member: Member<Value>): Member<Value> & { readonly required: true } {
  return { ...member, required: true };
}

export function text(limits: TextLimits = {}): Member<string> {
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      if (typeof json !== 'string') throw wrongType(json, 'a String');
      // A lone surrogate has no UTF-8 form: two different strings would become the same bytes.
      if (!json.isWellFormed()) throw new AwsError('SerializationException', 'Invalid UTF-8 string');
      const length = limits.inBytes === true ? Buffer.byteLength(json) : json.length;
      const shown = limits.sensitive === true ? 'Value' : `Value '${json}'`;
      return accept(json, `${shown} at '${path}'`, breaches, [
        ...lengthRules(length, limits),
        limits.oneOf !== undefined &&
          !limits.oneOf.includes(json) &&
          `Member must satisfy enum value set: [${limits.oneOf.join(', ')}]`,
        limits.pattern !== undefined &&
          !limits.pattern.test(json) &&
          `Member must satisfy regular expression pattern: ${limits.pattern.source}`,
      ]);
    },
  };
}

/** Both may be met. */
interface Limits {
  readonly min?: number;
  readonly max?: number;
}

/** A blob: base64 in JSON, limits in bytes of the content. */
export function blob(limits: Limits = {}): Member<Buffer> {
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      if (typeof json !== 'string') throw wrongType(json, 'a Blob');
      const bytes = Buffer.from(json, 'base64');
      if (bytes.toString('base64') !== json) {
        throw new AwsError('SerializationException', 'Blob value is not valid base64');
      }
      return accept(bytes, `Value at '${path}'`, breaches, lengthRules(bytes.length, limits));
    },
  };
}

export function integer(limits: Limits = {}): Member<number> {
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      if (typeof json !== 'number' || !Number.isInteger(json)) throw wrongType(json, 'an Integer');
      return accept(json, `Value '${json}' at '${path}'`, breaches, limitRules('value', json, limits));
    },
  };
}

/** Any number: a timestamp in seconds. */
export function number(): Member<number> {
  return {
    read(json) {
      if (json === undefined) return undefined;
      if (typeof json !== 'number') throw wrongType(json, 'a Timestamp');
      return json;
    },
  };
}

export function flag(): Member<boolean> {
  return {
    read(json) {
      if (json === undefined) return undefined;
      if (typeof json !== 'boolean') throw wrongType(json, 'a Boolean');
      return json;
    },
  };
}

export function list<Value>(element: Member<Value>, limits: Limits = {}): Member<Value[]> {
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      if (!isList(json)) throw wrongType(json, 'a List');
      const values: Value[] = [];
      for (const [index, item] of json.entries()) {
        const value = element.read(item, `${path}.${index + 1}.member`, breaches);
        if (value !== undefined) values.push(value);
      }
      return accept(values, `Value at '${path}'`, breaches, lengthRules(json.length, limits));
    },
  };
}

export function structure<S extends Shape>(shape: S): Member<Values<S>> {
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      return readMembers(shape, objectOf(json), `${path}.`, breaches);
    },
  };
}

/** A map of names to members of one kind, in the order sent. */
export function map<Value>(element: Member<Value>, limits: Limits = {}): Member<ReadonlyMap<string, Value>> {
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      const values = new Map<string, Value>();
      const members = Object.entries(objectOf(json));
      for (const [key, item] of members) {
        const value = element.read(item, `${path}.${key}.member`, breaches);
        if (value !== undefined) values.set(key, value);
      }
      return accept(values, `Value at '${path}'`, breaches, lengthRules(members.length, limits));
    },
  };
}

/** A map of strings to strings, in the order sent; numbers and booleans are taken as their text. */
export function textMap(): Member<ReadonlyMap<string, string>> {
  const name = text();
  return {
    read(json, path, breaches) {
      if (json === undefined) return undefined;
      const values = new Map<string, string>();
      for (const [key, item] of Object.entries(objectOf(json))) {
        const scalar = typeof item === 'number' || typeof item === 'boolean' ? String(item) : item;
        const value = name.read(scalar, `${path}.${key}.member`, breaches);
        if (name.read(key, path, breaches) !== undefined && value !== undefined) values.set(key, value);
      }
      return values;
    },
  };
}

/** What AWS sends as a timestamp: seconds since the epoch, with milliseconds as a fraction. */
export function epochSeconds(date: Date): number {
  return date.getTime() / 1000;
}

function readMembers<S extends Shape>(
  shape: S,
  input: JsonObject,
  prefix: string,
  breaches: string[],
): Values<S> | undefined {
  const values: Record<string, unknown> = {};
  const found: string[] = [];
  for (const [name, member] of Object.entries(shape)) {
    const path = prefix + name.charAt(0).toLowerCase() + name.slice(1);
    const json = Object.hasOwn(input, name) ? (input[name] ?? undefined) : undefined;
    if (json === undefined && member.required === true) {
      found.push(`Value null at '${path}' failed to satisfy constraint: Member must not be null`);
    } else {
      values[name] = member.read(json, path, found);
    }
  }
  breaches.push(...found);
  return isComplete(shape, values, found) ? values : undefined;
}

/** Where nothing was in breach, each member is what its reader returned. */
function isComplete<S extends Shape>(
  _shape: S,
  _values: object,
  found: readonly string[],
): _values is Values<S> {
  return found.length === 0;
}

function accept<Value>(
  value: Value,
  what: string,
  breaches: string[],
  rules: readonly (string | false)[],
): Value | undefined {
  const broken = rules.filter((rule) => rule !== false);
  breaches.push(...broken.map((rule) => `${what} failed to satisfy constraint: ${rule}`));
  return broken.length === 0 ? value : undefined;
}

function lengthRules(length: number, limits: Limits): (string | false)[] {
  return limitRules('length', length, limits);
}

function limitRules(what: 'length' | 'value', given: number, { min, max }: Limits): (string | false)[] {
  return [
    min !== undefined && given < min && `Member must have ${what} greater than or equal to ${min}`,
    max !== undefined && given > max && `Member must have ${what} less than or equal to ${max}`,
  ];
}

function objectOf(json: JsonValue): JsonObject {
  if (!isObject(json)) throw wrongType(json, 'a Structure');
  return json;
}

function isObject(json: JsonValue): json is JsonObject {
  return json !== null && typeof json === 'object' && !isList(json);
}

function isList(json: JsonValue): json is readonly JsonValue[] {
  return Array.isArray(json);
}

function wrongType(json: JsonValue, wanted: string): AwsError {
  const found = json === null ? 'NULL' : isList(json) ? 'LIST' : typeof json;
  return new AwsError(
    'SerializationException',
    `${found.toUpperCase()}_VALUE cannot be converted to ${wanted}`,
  );
}
