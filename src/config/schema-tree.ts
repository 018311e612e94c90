import { z } from 'zod';

type Schema = z.core.$ZodType;

/** What a schema accepts, without the wrappers that make it optional, give it a default or transform it. */
export function bareSchema(schema: Schema): Schema {
  const inner = innerSchema(schema);
  return inner === undefined ? schema : bareSchema(inner);
}

function innerSchema(schema: Schema): Schema | undefined {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNonOptional ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodCatch ||
    schema instanceof z.ZodLazy
  ) {
    return schema.unwrap();
  }
  return schema instanceof z.ZodPipe ? schema.in : undefined;
}

/** The schema of one key or index inside another schema; undefined where it has no such key. */
export function childSchema(schema: Schema, key: PropertyKey): Schema | undefined {
  const bare = bareSchema(schema);
  if (bare instanceof z.ZodObject) {
    return Object.hasOwn(bare.shape, key) ? bare.shape[String(key)] : undefined;
  }
  if (bare instanceof z.ZodRecord) return bare.valueType;
  if (bare instanceof z.ZodArray) return bare.element;
  if (bare instanceof z.ZodUnion) {
    return bare.options.map((option) => childSchema(option, key)).find((child) => child !== undefined);
  }
  return undefined;
}

export function schemaAt(schema: Schema, path: readonly PropertyKey[]): Schema | undefined {
  return path.reduce<Schema | undefined>(
    (current, key) => (current === undefined ? undefined : childSchema(current, key)),
    schema,
  );
}

/** The keys that an object schema knows by name, or any form of a union. */
export function keysOf(schema: Schema): string[] {
  const bare = bareSchema(schema);
  if (bare instanceof z.ZodObject) return Object.keys(bare.shape);
  return bare instanceof z.ZodUnion ? [...new Set(bare.options.flatMap((option) => keysOf(option)))] : [];
}

/** What a key says of itself: its own metadata, or that of what it wraps. */
export function metadataOf(schema: Schema): z.core.GlobalMeta | undefined {
  const own = z.globalRegistry.get(schema);
  const inner = innerSchema(schema);
  return own ?? (inner === undefined ? undefined : metadataOf(inner));
}

export interface Leaf {
  readonly path: readonly string[];
  readonly schema: Schema;
}

/** Every key that is not itself an object of named keys. */
export function leavesOf(schema: Schema, path: readonly string[] = []): Leaf[] {
  const bare = bareSchema(schema);
  if (!(bare instanceof z.ZodObject)) return [{ path, schema }];
  return Object.entries(bare.shape).flatMap(([key, child]) => leavesOf(child, [...path, key]));
}
