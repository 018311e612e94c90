import { readFileSync } from 'node:fs';
import { GatehouseError, isProblems } from '../base/errors.ts';
import { requireRegion, requireSecretName } from '../config/bootstrap.ts';
import { type EffectiveRow, effective } from '../config/effective.ts';
import { parseJson } from '../config/json.ts';
import { type JsonSchema, jsonSchemaOf } from '../config/schema.ts';
import { bootstrapSchema, gatewaySchema } from './config.ts';
import { agentError } from './errors.ts';
import { validGateway } from './gateway-config/valid-gateway.ts';
import { bootstrapOf } from './host.ts';
import type { Launch } from './launch.ts';
import { type AgentStatus, status } from './monitoring/status.ts';

export interface ValidConfig {
  readonly kind: 'bootstrap' | 'gateway';
  readonly file?: string;
}

/**
 * Checks a config file, bootstrap or gateway as its keys say; without a file, the bootstrap config of this launch.
 * `input` is what the file holds, where it is standard input. A gateway config is checked against the limits of this host's bootstrap config.
 * @throws CONFIG_…, GATEWAY_CONFIG_…, INPUT_MISSING
 */
export async function validateConfig(
  launch: Launch,
  file: string | undefined,
  input?: Buffer,
): Promise<ValidConfig> {
  if (file === undefined) {
    const { file: found, config } = bootstrapOf(launch);
    // Without one `run` would not start, nor would it without a region.
    requireSecretName(config);
    requireRegion(config);
    return { kind: 'bootstrap', ...(found === undefined ? {} : { file: found }) };
  }
  const bytes = input ?? bytesOf(file);
  if (isGateway(bytes)) {
    const { config } = bootstrapOf(launch);
    await validGateway(config, { bytes }).catch((error: unknown) => {
      throw ofFile(error, file);
    });
    return { kind: 'gateway', file };
  }
  // By itself: what the environment of this shell adds is not the file's merit.
  bootstrapOf({ ...launch, flags: { config: file }, env: {} }, input);
  return { kind: 'bootstrap', file };
}

/**
 * Every value of the bootstrap config in effect, with where it came from; then, where an agent runs, which version of the
 * gateway config it goes by.
 */
export async function showConfig(launch: Launch, signal: AbortSignal): Promise<readonly EffectiveRow[]> {
  const { config, origins } = bootstrapOf(launch);
  const running = await status(launch, signal).catch(() => undefined);
  signal.throwIfAborted();
  return [...effective(config, origins), ...gatewayRows(running?.config)];
}

/** Names in the environment that look like ours and mean nothing: one that is mistyped sets nothing. */
export function unknownVariables(launch: Launch): readonly string[] {
  return bootstrapOf(launch).unknownVariables;
}

function gatewayRows(config: AgentStatus['config']): EffectiveRow[] {
  if (config === undefined) return [];
  const { secretName, versionId, lastKnownGood, refused } = config;
  const origin =
    lastKnownGood === undefined
      ? `Secrets Manager, ${secretName}`
      : `last-known-good copy, sealed ${lastKnownGood.sealedAt}, for ${refused ?? 'Secrets Manager is away'}`;
  return [{ path: 'gateway config', value: `version ${versionId ?? '-'}`, origin }];
}

/** The JSON Schema of a config, for editors. */
export function configSchema(kind: 'bootstrap' | 'gateway'): JsonSchema {
  return kind === 'bootstrap'
    ? jsonSchemaOf(bootstrapSchema, { title: 'Gatehouse bootstrap config', isComplete: false })
    : jsonSchemaOf(gatewaySchema, { title: 'Gatehouse gateway config', isComplete: true });
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw agentError('INPUT_MISSING', { file }, error);
  }
}

const gatewayKeys = Object.keys(gatewaySchema.shape);

/** A bootstrap config shares no key with a gateway config, and is never base64. */
function isGateway(bytes: Buffer): boolean {
  // Takes the byte order mark away too.
  const text = bytes.toString('utf8').trim();
  const parsed = parseJson(text);
  // Of what is broken a gateway config has the key that it must have, and a bootstrap config never.
  if ('fault' in parsed) return /^[A-Za-z\d+/=\s]+$/u.test(text) || text.includes('"version"');
  const { value } = parsed;
  return typeof value === 'object' && value !== null && gatewayKeys.some((key) => Object.hasOwn(value, key));
}

/** A gateway config knows nothing of files, but whoever checks one does. */
function ofFile(error: unknown, file: string): unknown {
  if (!(error instanceof GatehouseError)) return error;
  const { code, row, details, cause } = error;
  const source = `file ${file}`;
  const { problems } = details;
  const more = isProblems(problems)
    ? { problems: problems.map(({ path, message }) => ({ path, message, source })) }
    : { file };
  return new GatehouseError(code, row, { ...details, ...more }, cause);
}
