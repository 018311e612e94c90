import type { ErrorDetails } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import { secretsError } from './errors.ts';

/**
 * The value of one field of a JSON object as text: a string as it is, a number in its own digits, a boolean as `true`
 * or `false`. `details` says which secret it is.
 * @throws SECRET_NOT_JSON, SECRET_FIELD_MISSING, SECRET_FIELD_TYPE; none names what the JSON holds
 */
export function jsonField(text: string, field: string, details: ErrorDetails): Secret {
  const object = parsed(text, details);
  if (!Object.hasOwn(object, field))
    throw secretsError('SECRET_FIELD_MISSING', { ...details, jsonField: field });
  const value = object[field];
  if (typeof value !== 'string' && typeof value !== 'boolean') {
    throw secretsError('SECRET_FIELD_TYPE', { ...details, jsonField: field });
  }
  return Secret.ofText(String(value));
}

function parsed(text: string, details: ErrorDetails): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text, digits);
  } catch {
    // Not kept as the cause: V8 quotes the text around the mistake, which is the secret.
    throw secretsError('SECRET_NOT_JSON', details);
  }
  if (!isObject(value)) throw secretsError('SECRET_NOT_JSON', details);
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Keeps a number's own digits: as a double, a card or account number of 17 digits would come out changed. The third
 * argument is https://tc39.es/proposal-json-parse-with-source/, not yet among TypeScript's types.
 */
function digits(_key: string, value: unknown, ...[context]: { readonly source?: string }[]): unknown {
  return typeof value === 'number' ? context?.source : value;
}
