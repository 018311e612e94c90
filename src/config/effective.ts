import { pathText } from './path-text.ts';

/** One line of `gatehouse config show`. */
export interface EffectiveRow {
  readonly path: string;
  readonly value: unknown;
  /** Where the value came from. */
  readonly origin: string;
}

/** Every value of a config with where it came from. Config values are never secrets. */
export function effective(config: unknown, origins: ReadonlyMap<string, string>): readonly EffectiveRow[] {
  return rows(config, [], origins);
}

function rows(value: unknown, path: readonly string[], origins: ReadonlyMap<string, string>): EffectiveRow[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const text = pathText(path);
    return [{ path: text, value, origin: origins.get(text) ?? 'default' }];
  }
  return Object.entries(value).flatMap(([key, child]) => rows(child, [...path, key], origins));
}
