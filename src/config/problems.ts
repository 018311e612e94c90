import type { z } from 'zod';
import type { Problem } from '../base/errors.ts';
import { closest } from './closest.ts';
import { pathText } from './path-text.ts';
import { keysOf, schemaAt } from './schema-tree.ts';

const problemsMax = 100;
const messageCharactersMax = 300;

/**
 * Checks `value` and says everything that is wrong with it, each thing with its path.
 * No problem repeats a value: what was given could be a secret, pasted in the wrong place. Unknown keys are named.
 */
export function checked<S extends z.ZodType>(
  schema: S,
  value: unknown,
): { readonly config: z.output<S> } | { readonly problems: readonly Problem[] } {
  // Each schema is used a few times in an agent's life: code that zod compiles for it would cost more than it saves.
  const result = schema.safeParse(value, { error: messageOf, jitless: true });
  if (result.success) return { config: result.data };
  return { problems: bounded(result.error.issues.flatMap((issue) => problemsOf(issue, [], schema, value))) };
}

/** The first hundred, and how many more there are. */
export function bounded(problems: readonly Problem[]): readonly Problem[] {
  const more = problems.length - problemsMax;
  if (more <= 0) return problems;
  return [...problems.slice(0, problemsMax), { path: '', message: `and ${more} more problems` }];
}

function problemsOf(
  issue: z.core.$ZodIssue,
  above: readonly PropertyKey[],
  schema: z.ZodType,
  value: unknown,
): Problem[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const at = schemaAt(schema, path);
    return issue.keys.map((key) => unknownKey([...path, key], at === undefined ? [] : keysOf(at)));
  }
  if (issue.code === 'invalid_union') {
    const form = closestForm(issue.errors);
    if (form !== undefined) return form.flatMap((inner) => problemsOf(inner, path, schema, value));
  }
  if (issue.code === 'invalid_key') {
    const why = issue.issues.find(({ code }) => code === 'custom' || code === 'invalid_format');
    return [{ path: pathText(path), message: cut(why?.message ?? 'not a name') }];
  }
  return [problem(path, issue.message, value)];
}

function unknownKey(path: readonly PropertyKey[], known: readonly string[]): Problem {
  const meant = closest(String(path.at(-1)), known);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return { path: pathText(path), message: `unknown key${hint}` };
}

type Form = readonly z.core.$ZodIssue[];

/** Of the forms a value may have, the one it was most likely meant to have: the one with the least distance. */
function closestForm(forms: readonly Form[]): Form | undefined {
  return forms.toSorted((a, b) => distanceOf(a) - distanceOf(b))[0];
}

/** A wrong type of the whole counts most, then unknown keys, then any fault. */
function distanceOf(form: Form): number {
  return form.reduce((sum, issue) => {
    if (issue.code === 'unrecognized_keys') return sum + 100 * issue.keys.length;
    return sum + (issue.code === 'invalid_type' && issue.path.length === 0 ? 10_000 : 1);
  }, 0);
}

function problem(path: readonly PropertyKey[], message: string, root: unknown): Problem {
  return { path: pathText(path), message: cut(withoutValue(message, valueAt(root, path))) };
}

/** A room's own message should not repeat the value either; this makes sure. */
function withoutValue(message: string, value: unknown): string {
  return typeof value === 'string' && value.length > 1 && message.includes(value) ? 'not accepted' : message;
}

function cut(message: string): string {
  return message.length > messageCharactersMax ? `${message.slice(0, messageCharactersMax)}…` : message;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    root,
  );
}

function isRecord(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Our words for zod's issues; a message that a schema brings itself goes before these. */
function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  const isAsked = issue.code === 'invalid_type' || issue.code === 'invalid_value';
  if (isAsked && issue.input === undefined) return 'is missing';
  if (issue.code === 'invalid_type')
    return `expected ${article(String(issue.expected))}, not ${typeOf(issue.input)}`;
  if (issue.code === 'invalid_value') {
    return `expected ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
  }
  if (issue.code === 'too_small') return `expected at least ${sizeText(issue.origin, issue.minimum)}`;
  if (issue.code === 'too_big') return `expected at most ${sizeText(issue.origin, issue.maximum)}`;
  return issue.code === 'invalid_format' ? `expected a different form (${issue.format})` : undefined;
}

function sizeText(origin: string, limit: number | bigint): string {
  if (origin === 'string') return `${limit} characters`;
  return origin === 'array' || origin === 'set' ? `${limit} items` : String(limit);
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return article(Array.isArray(value) ? 'array' : typeof value);
}

function article(noun: string): string {
  return /^[aeiou]/u.test(noun) ? `an ${noun === 'int' ? 'integer' : noun}` : `a ${noun}`;
}
