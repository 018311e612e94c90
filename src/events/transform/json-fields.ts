import { parseExactly, textOf } from '../exact-json.ts';

/** What of a line of JSON is shipped, and where its time is. Lines that are no object are left as they are. */
export interface JsonSelection {
  /** Only these, in this order. */
  readonly fields?: readonly string[] | undefined;
  /** This one alone, as the text of the event. */
  readonly message?: string | undefined;
}

export function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!/^\s*\{/u.test(line)) return undefined;
  try {
    const value = parseExactly(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** The value at a path (`kubernetes.namespace`; a member of that whole name comes first), as text; empty where there is none. */
export function fieldOf(object: Readonly<Record<string, unknown>> | undefined, path: string): string {
  let value: unknown = object;
  for (const name of object !== undefined && Object.hasOwn(object, path) ? [path] : path.split('.')) {
    const isObject: boolean = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
    value = isObject ? Reflect.get(Object(value), name) : undefined;
  }
  return textOf(value) ?? '';
}

export function selected(
  object: Readonly<Record<string, unknown>>,
  { fields, message }: JsonSelection,
): string | undefined {
  if (message !== undefined) {
    const value = object[message];
    if (value === undefined) return undefined;
    return typeof value === 'string' ? value : JSON.stringify(value);
  }
  if (fields === undefined) return undefined;
  const members = fields
    .filter((field) => Object.hasOwn(object, field))
    .map((field) => [field, object[field]]);
  return JSON.stringify(Object.fromEntries(members));
}
