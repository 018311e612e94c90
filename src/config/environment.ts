import { z } from 'zod';
import type { Problem } from '../base/errors.ts';
import { parseJson } from './json.ts';
import { pathText } from './path-text.ts';
import { bareSchema, type Leaf, leavesOf } from './schema-tree.ts';

/** The environment variable of a bootstrap key: `gatewayConfig.refreshCron` is GATEHOUSE_GATEWAY_CONFIG_REFRESH_CRON. */
export function variableOf(path: readonly string[]): string {
  const words = path.map((key) => key.replaceAll(/(?<=[a-z\d])(?=[A-Z])/gu, '_').toUpperCase());
  return `GATEHOUSE_${words.join('_')}`;
}

/** Other names of the same key, strongest first; the derived name is among them. */
const otherVariables: Readonly<Record<string, readonly string[]>> = {
  'gatewayConfig.secretName': [
    'GATEHOUSE_SECRET_NAME',
    'GATEHOUSE_GATEWAY_CONFIG_SECRET_NAME',
    'AWS_KMS_SECRET_NAME',
  ],
};

/** The variables that set a key, strongest first. */
export function variablesOf(path: readonly string[]): readonly string[] {
  return otherVariables[path.join('.')] ?? [variableOf(path)];
}

/** Names the file and is no key of it. */
export const fileVariable = 'GATEHOUSE_CONFIG';

export interface EnvironmentValue {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly variable: string;
}

export interface EnvironmentReading {
  readonly values: readonly EnvironmentValue[];
  readonly problems: readonly Problem[];
  /** Names that begin with GATEHOUSE_ and mean nothing. Kubernetes sets some for a service called gatehouse. */
  readonly unknownVariables: readonly string[];
}

const unknownVariablesMax = 50;

/** What the environment says of the bootstrap config. An empty variable counts as not set. */
export function readEnvironment(
  schema: z.ZodType,
  env: Readonly<Record<string, string | undefined>>,
): EnvironmentReading {
  const values: EnvironmentValue[] = [];
  const problems: Problem[] = [];
  const known = new Set([fileVariable]);

  for (const leaf of leavesOf(schema)) {
    const variables = variablesOf(leaf.path);
    for (const variable of variables) known.add(variable);
    const variable = variables.find((name) => isSet(env[name]));
    if (variable === undefined) continue;
    const converted = convert(env[variable] ?? '', leaf.schema);
    if ('message' in converted) {
      const source = `environment ${variable}`;
      problems.push({ path: pathText(leaf.path), message: converted.message, source });
    } else {
      values.push({ path: leaf.path, value: converted.value, variable });
    }
  }

  const unknownVariables = Object.keys(env)
    .filter((name) => name.startsWith('GATEHOUSE_') && !known.has(name))
    .toSorted()
    .slice(0, unknownVariablesMax);
  return { values, problems, unknownVariables };
}

export function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

type Converted = { readonly value: unknown } | { readonly message: string };

/** Text as the type that the schema asks for. The text is never part of a message. */
function convert(text: string, schema: Leaf['schema']): Converted {
  const bare = bareSchema(schema);
  if (bare instanceof z.ZodNumber) {
    return /^-?\d{1,15}(?:\.\d{1,15})?$/u.test(text)
      ? { value: Number(text) }
      : { message: 'expected a number' };
  }
  if (bare instanceof z.ZodBoolean) {
    if (text === 'true' || text === '1') return { value: true };
    return text === 'false' || text === '0' ? { value: false } : { message: 'expected true or false' };
  }
  if (bare instanceof z.ZodArray && !text.trimStart().startsWith('[')) return convertList(text, bare.element);
  if (bare instanceof z.ZodArray || bare instanceof z.ZodRecord || bare instanceof z.ZodUnion) {
    const parsed = parseJson(text);
    if ('value' in parsed) return parsed;
    return bare instanceof z.ZodUnion
      ? { value: text }
      : { message: `expected JSON: fault at column ${parsed.column}` };
  }
  return { value: text };
}

function convertList(text: string, element: Leaf['schema']): Converted {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map((item) => convert(item, element));
  const values: unknown[] = [];
  for (const item of items) {
    if ('message' in item) return { message: `${item.message} in each place of the list` };
    values.push(item.value);
  }
  return { value: values };
}
