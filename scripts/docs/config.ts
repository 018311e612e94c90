import { z } from 'zod';
import { code, page, table } from './markdown.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** One key of a config as the reference shows it. */
export interface ConfigKey {
  /** `events.sources.NAME.files[]`. */
  readonly path: string;
  readonly type: string;
  readonly isRequired: boolean;
  /** As JSON; empty where there is none. */
  readonly default: string;
  readonly unit: string;
  /** When a change takes effect; a key without its own word inherits its parent's. */
  readonly applies: string;
  readonly description: string;
  readonly examples: readonly string[];
}

export interface ConfigPart {
  readonly title: string;
  readonly introduction: string;
  readonly schema: z.ZodType;
  /** Keys that the schema demands and the loader fills in where nobody gives them. */
  readonly filledIn?: readonly string[];
  /** Names of the environment variables that set a key, strongest first. */
  readonly variablesOf?: (path: readonly string[]) => readonly string[];
}

/** docs/reference/config.md: every key of both configs. */
export function configPage(parts: readonly ConfigPart[]): string {
  return page(
    'Configuration',
    'From the `config.ts` of each room. Unknown keys are errors. *Live* says that a change takes effect in the running ' +
      'agent, *restart* that it does at its next start. A value is never a secret, only the name of where one is.',
    parts.flatMap(({ title, introduction, schema, filledIn = [], variablesOf }) => [
      `## ${title}`,
      introduction,
      ...configKeys(schema).map((key) => {
        const isRequired = key.isRequired && !filledIn.includes(key.path);
        return keySection({ ...key, isRequired }, variablesOf);
      }),
    ]),
  );
}

function keySection(key: ConfigKey, variablesOf: ConfigPart['variablesOf']): string {
  const isSettable = variablesOf !== undefined && /^[\w.]+$/u.test(key.path) && key.type !== 'object';
  const variables = isSettable ? variablesOf(key.path.split('.')) : [];
  const facts = [
    ['Type', key.type === 'object' ? 'object' : code(key.type)],
    ['Required', key.isRequired ? 'yes' : ''],
    ['Default', code(key.default)],
    ['Unit', key.unit],
    ['Change applies', key.applies],
    ['Environment', variables.map(code).join(', ')],
    ['Example', key.examples.map(code).join(', ')],
  ].filter(([, value]) => value !== '');
  return [`### \`${key.path}\``, '', key.description, '', table(['', ''], facts)]
    .join('\n')
    .replaceAll('\n\n\n', '\n');
}

/** Every key of a schema, parents before what is in them, in the schema's order. */
export function configKeys(schema: z.ZodType): ConfigKey[] {
  const document: JsonSchema = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return [...keysBelow(document, '', '')];
}

function* keysBelow(schema: JsonSchema, path: string, applies: string): Generator<ConfigKey> {
  const required = new Set(schema.required);
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (typeof child === 'boolean') continue;
    const childPath = path === '' ? name : `${path}.${name}`;
    const key = keyOf(child, childPath, required.has(name), applies);
    yield key;
    yield* keysBelow(child, childPath, key.applies);
  }
  for (const [suffix, child] of [
    ['.NAME', schema.additionalProperties],
    ['[]', schema.items],
  ] as const) {
    if (isSchema(child)) yield* keysBelow(child, `${path}${suffix}`, textOf(child['applies']) || applies);
  }
  const seen = new Set<string>();
  for (const option of alternativesOf(schema)) {
    for (const key of keysBelow(option, path, applies)) {
      // Alternatives share keys: the first form's word counts, and what only some forms need is not required.
      if (!seen.has(key.path)) yield { ...key, isRequired: false };
      seen.add(key.path);
    }
  }
}

function keyOf(schema: JsonSchema, path: string, isRequired: boolean, inherited: string): ConfigKey {
  return {
    path,
    type: typeOf(schema),
    isRequired: isRequired && schema.default === undefined,
    default:
      schema.default === undefined || isEmptyObject(schema.default) ? '' : JSON.stringify(schema.default),
    unit: textOf(schema['unit']),
    applies: textOf(schema['applies']) || inherited,
    description: schema.description ?? '',
    examples: (schema.examples ?? []).map((example) => JSON.stringify(example)),
  };
}

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const alternatives = alternativesOf(schema);
  if (alternatives.length > 0) return [...new Set(alternatives.map(typeOf))].join(' | ');
  if (schema.type === 'array') return `list of ${isSchema(schema.items) ? typeOf(schema.items) : 'anything'}`;
  const isMap = schema.type === 'object' && isSchema(schema.additionalProperties);
  return isMap ? 'object by name' : [schema.type ?? 'anything'].flat().join(' | ');
}

function alternativesOf(schema: JsonSchema): JsonSchema[] {
  return (schema.anyOf ?? schema.oneOf ?? []).filter(isSchema);
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmptyObject(value: unknown): boolean {
  return isSchema(value) && Object.keys(value).length === 0;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
