import type { z } from 'zod';
import type { Problem } from '../base/errors.ts';
import { runtimeDirectoryDefault } from '../base/runtime-directory.ts';
import { parseBootstrap, readBootstrapFile } from './bootstrap-file.ts';
import { fileVariable, isSet, readEnvironment } from './environment.ts';
import { configError } from './errors.ts';
import { isObject } from './object.ts';
import { pathText } from './path-text.ts';
import { bounded, checked } from './problems.ts';

/** Where a value came from: `file /etc/gatehouse/config.json`, `environment GATEHOUSE_REGION`, `default`. */
export type Origins = ReadonlyMap<string, string>;

/** The flags that set a key. Of two that set the same one, the later in this list counts. */
const flagPaths = [
  { flag: 'aws-kms-secret-name', path: ['gatewayConfig', 'secretName'] },
  { flag: 'secret-name', path: ['gatewayConfig', 'secretName'] },
  { flag: 'log-level', path: ['logLevel'] },
] as const;

/** What the command line says of the bootstrap config, by flag. */
export type BootstrapFlags = Readonly<
  Partial<Record<(typeof flagPaths)[number]['flag'], string | undefined>>
>;

export interface BootstrapInputs {
  /** The file that --config names. */
  readonly file?: string | undefined;
  /** Its content, where it was read already. */
  readonly bytes?: Uint8Array | undefined;
  readonly flags: BootstrapFlags;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The current user. */
  readonly uid: number;
  readonly hostname: string;
  /** The file that is read when none is named, and need not exist. */
  readonly defaultFile?: string;
}

export interface LoadedBootstrap<Config> {
  readonly config: Config;
  /** By path; what is not in it is a default of the schema. */
  readonly origins: Origins;
  /** The file that was read. */
  readonly file?: string;
  /** Names in the environment that begin with GATEHOUSE_ and mean nothing: worth a warning, not an error. */
  readonly unknownVariables: readonly string[];
}

export const bootstrapFileDefault = '/etc/gatehouse/config.json';

/**
 * Joins file, environment and flags (the later wins), fills in what the host knows (its name, systemd's
 * directories, the SDKs' region) and checks the whole. Whether a secret name or a region is needed depends on the
 * command: `requireSecretName`, `requireRegion`.
 *
 * @throws CONFIG_INVALID with every problem, its path and its source; CONFIG_FILE_… and CONFIG_NOT_JSON of the file
 */
export function loadBootstrap<S extends z.ZodType>(
  schema: S,
  inputs: BootstrapInputs,
): LoadedBootstrap<z.output<S>> {
  const { env, flags } = inputs;
  const document = readDocument(inputs);
  const environment = readEnvironment(schema, env);
  const layers = layersOver(document);

  for (const { path, value, variable } of environment.values)
    layers.set(path, value, `environment ${variable}`);
  for (const { flag, path } of flagPaths) {
    const value = flags[flag];
    if (value !== undefined) layers.set(path, value, `flag --${flag}`);
  }
  layers.supply(['name'], inputs.hostname, 'host name');
  supplyFromVariables(layers, env);
  const runtimeDirectory = layers.root['runtimeDirectory'] ?? runtimeDirectoryDefault;
  layers.supply(['allow', 'deliverTo'], [runtimeDirectory], 'default');

  const { origins } = layers;
  const result = checked(schema, layers.root);
  const found = 'problems' in result ? result.problems.map((problem) => withSource(problem, origins)) : [];
  const problems = [...document.problems, ...environment.problems, ...found];
  if (problems.length > 0 || !('config' in result)) {
    throw configError('CONFIG_INVALID', { problems: bounded(problems) });
  }
  return {
    config: result.config,
    origins,
    ...(document.file === undefined ? {} : { file: document.file }),
    unknownVariables: environment.unknownVariables,
  };
}

/** The name of the secret that holds the gateway config. @throws CONFIG_SECRET_NAME_MISSING */
export function requireSecretName(config: {
  readonly gatewayConfig: { readonly secretName?: string | undefined };
}): string {
  const { secretName } = config.gatewayConfig;
  if (secretName === undefined) throw configError('CONFIG_SECRET_NAME_MISSING');
  return secretName;
}

/** The AWS region. @throws CONFIG_REGION_MISSING */
export function requireRegion(config: { readonly region?: string | undefined }): string {
  if (config.region === undefined) throw configError('CONFIG_REGION_MISSING', { path: 'region' });
  return config.region;
}

interface Document {
  readonly file?: string;
  readonly content: Record<string, unknown>;
  readonly problems: readonly Problem[];
}

function readDocument({
  file,
  bytes,
  env,
  uid,
  defaultFile = bootstrapFileDefault,
}: BootstrapInputs): Document {
  const fromEnvironment = isSet(env[fileVariable]) ? env[fileVariable] : undefined;
  const named = file ?? fromEnvironment;
  const path = named ?? defaultFile;
  const content = bytes === undefined ? readBootstrapFile(path, uid) : parseBootstrap(bytes, path);
  if (content === undefined) {
    if (named === undefined) return { content: {}, problems: [] };
    const namedBy = file === undefined ? `environment ${fileVariable}` : 'flag --config';
    throw configError('CONFIG_FILE_MISSING', { file: path, namedBy });
  }
  if (!isObject(content)) {
    const problem = { path: '', message: 'expected an object', source: `file ${path}` };
    return { file: path, content: {}, problems: [problem] };
  }
  // For editors; it means nothing to us.
  const { $schema: _, ...rest } = content;
  return { file: path, content: rest, problems: [] };
}

function supplyFromVariables(layers: Layers, env: BootstrapInputs['env']): void {
  const fallbacks = [
    { path: ['region'], variable: 'AWS_REGION' },
    { path: ['region'], variable: 'AWS_DEFAULT_REGION' },
    { path: ['stateDirectory'], variable: 'STATE_DIRECTORY' },
    { path: ['runtimeDirectory'], variable: 'RUNTIME_DIRECTORY' },
  ];
  for (const { path, variable } of fallbacks) {
    // systemd separates several directories by colons; the first is the unit's main one.
    const value = env[variable]?.split(':')[0];
    if (isSet(value)) layers.supply(path, value, `environment ${variable}`);
  }
}

interface Layers {
  readonly root: Record<string, unknown>;
  readonly origins: Map<string, string>;
  /** Overrides what is there. */
  set(path: readonly string[], value: unknown, origin: string): void;
  /** Sets only what is not there. */
  supply(path: readonly string[], value: unknown, origin: string): void;
}

function layersOver(document: Document): Layers {
  const root = structuredClone(document.content);
  const origins = new Map<string, string>();
  const keys = Object.keys(root);
  for (const path of keys.flatMap((key) => leafPaths(root[key], [key]))) {
    origins.set(pathText(path), `file ${document.file}`);
  }

  const place = (path: readonly string[], value: unknown, origin: string, isOverriding: boolean): void => {
    const last = path.at(-1) ?? '';
    let parent: Record<string, unknown> = root;
    for (const key of path.slice(0, -1)) {
      const child = (parent[key] ??= {});
      // The file has something else in this place, which is a problem of its own.
      if (!isObject(child)) return;
      parent = child;
    }
    if (!isOverriding && Object.hasOwn(parent, last)) return;
    parent[last] = value;
    origins.set(pathText(path), origin);
  };
  return {
    root,
    origins,
    set: (path, value, origin) => place(path, value, origin, true),
    supply: (path, value, origin) => place(path, value, origin, false),
  };
}

function leafPaths(value: unknown, path: readonly string[]): (readonly string[])[] {
  if (!isObject(value) || Object.keys(value).length === 0) return [path];
  return Object.entries(value).flatMap(([key, child]) => leafPaths(child, [...path, key]));
}

/** The source of the value at the path, or of what lies around or below it. */
function withSource(problem: Problem, origins: Origins): Problem {
  if (problem.message === 'is missing') return problem;
  for (const [path, source] of origins) {
    if (path === problem.path || isBelow(problem.path, path) || isBelow(path, problem.path)) {
      return { ...problem, source };
    }
  }
  return problem;
}

function isBelow(path: string, above: string): boolean {
  return path.startsWith(`${above}.`) || path.startsWith(`${above}[`);
}
