import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { isObject } from './object.ts';
import { pathText } from './path-text.ts';
import { childSchema, metadataOf } from './schema-tree.ts';

/** Paths of the keys that changed, by when the change takes effect. */
export interface Difference {
  readonly live: readonly string[];
  readonly restart: readonly string[];
}

/**
 * Compares two configs of one schema. Objects are compared key by key, arrays as a whole. When a change takes effect
 * is what the innermost key with an `applies` says; a key without one needs a restart.
 */
export function difference(schema: z.ZodType, before: unknown, after: unknown): Difference {
  const live: string[] = [];
  const restart: string[] = [];

  const compare = (
    at: z.core.$ZodType | undefined,
    path: readonly string[],
    was: unknown,
    is: unknown,
    inherited: 'live' | 'restart',
  ): void => {
    if (isDeepStrictEqual(was, is)) return;
    const applies = (at === undefined ? undefined : metadataOf(at)?.applies) ?? inherited;
    if (isObject(was) && isObject(is)) {
      for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
        const child = at === undefined ? undefined : childSchema(at, key);
        compare(child, [...path, key], was[key], is[key], applies);
      }
    } else {
      (applies === 'live' ? live : restart).push(pathText(path));
    }
  };
  compare(schema, [], before, after, 'restart');
  return { live, restart };
}
