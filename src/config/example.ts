import type { z } from 'zod';
import { isObject } from './object.ts';
import { metadataOf, schemaAt } from './schema-tree.ts';

/** A document with the given keys, each with the first example that its schema brings. */
export function exampleOf(schema: z.ZodType, paths: readonly (readonly string[])[]): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  for (const path of paths) {
    const at = schemaAt(schema, path);
    const examples: unknown = at === undefined ? undefined : metadataOf(at)?.examples;
    const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
    if (example === undefined) throw new RangeError(`no example of ${path.join('.')}`);
    place(document, path, example);
  }
  return document;
}

function place(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let parent = document;
  for (const key of path.slice(0, -1)) {
    const child = parent[key] ?? {};
    if (!isObject(child)) throw new RangeError(`an example stands in the way of ${path.join('.')}`);
    parent[key] = child;
    parent = child;
  }
  parent[path.at(-1) ?? ''] = value;
}
