import type { z } from 'zod';
import type { Problem } from '../base/errors.ts';
import { gatewayVersion } from './config.ts';
import { configError } from './errors.ts';
import { parseJson } from './json.ts';
import { isObject } from './object.ts';
import { bounded, checked } from './problems.ts';

/** The limit of a secret's value in Secrets Manager. Source: Secrets Manager quotas. */
export const gatewayBytesMax = 65_536;

/** A secret's value as Secrets Manager gives it: SecretString or SecretBinary. */
export interface GatewayValue {
  readonly text?: string | undefined;
  readonly bytes?: Uint8Array | undefined;
}

/** A cross rule between keys: the problems it finds in a config whose form is right. Never repeats a value. */
export type Rule<Config> = (config: Config) => readonly Problem[];

/**
 * The object in a gateway config: JSON, base64 of JSON, or either as SecretBinary. Says where a fault is, never what
 * is there.
 * @throws GATEWAY_CONFIG_EMPTY, …_TOO_LARGE, …_NOT_TEXT, …_NOT_JSON, …_NOT_OBJECT, …_VERSION_UNKNOWN
 */
export function decodeGateway(value: GatewayValue): Readonly<Record<string, unknown>> {
  const text = textOf(value).trim();
  if (text === '') throw configError('GATEWAY_CONFIG_EMPTY');

  const decoded = isBase64(text) ? decodeBase64(text) : undefined;
  const parsed = parseJson(decoded ?? text);
  if ('fault' in parsed) {
    const encoding = decoded === undefined ? 'plain' : 'base64';
    throw configError('GATEWAY_CONFIG_NOT_JSON', { ...parsed, encoding });
  }
  if (!isObject(parsed.value)) throw configError('GATEWAY_CONFIG_NOT_OBJECT');
  const { $schema: _, ...document } = parsed.value;
  const { version } = document;
  if (Number.isSafeInteger(version) && version !== gatewayVersion) {
    throw configError('GATEWAY_CONFIG_VERSION_UNKNOWN', { version: Number(version), known: gatewayVersion });
  }
  return document;
}

/**
 * The gateway config in a decoded document, with defaults filled in.
 * @throws GATEWAY_CONFIG_INVALID with every problem of form or, when the form is right, everything the rules find
 */
export function validateGateway<S extends z.ZodType>(
  schema: S,
  rules: readonly Rule<z.output<S>>[],
  document: unknown,
): z.output<S> {
  const result = checked(schema, document);
  if ('problems' in result) throw configError('GATEWAY_CONFIG_INVALID', { problems: result.problems });
  const problems = rules.flatMap((rule) => rule(result.config));
  if (problems.length > 0) throw configError('GATEWAY_CONFIG_INVALID', { problems: bounded(problems) });
  return result.config;
}

function textOf({ text, bytes }: GatewayValue): string {
  const length = text === undefined ? (bytes?.length ?? 0) : Buffer.byteLength(text);
  if (length > gatewayBytesMax) {
    throw configError('GATEWAY_CONFIG_TOO_LARGE', { bytes: length, bytesMax: gatewayBytesMax });
  }
  return text ?? decodeUtf8(bytes ?? new Uint8Array());
}

/** A number, a string or a word is not JSON of ours, and may well consist of base64's characters: JSON goes first. */
function isBase64(text: string): boolean {
  return /^[A-Za-z\d+/\s]+={0,2}$/u.test(text) && !('value' in parseJson(text));
}

function decodeBase64(text: string): string {
  const bytes = Buffer.from(text, 'base64');
  const decoded = decodeUtf8(bytes).trim();
  bytes.fill(0);
  return decoded;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw configError('GATEWAY_CONFIG_NOT_TEXT', {}, error);
  }
}
