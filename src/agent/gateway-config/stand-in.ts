import { GatehouseError } from '../../base/errors.ts';

/**
 * What a failure to fetch the gateway config says of the copy:
 *
 * - `stands in`: nothing answered, or what answered is no config that this program takes. The copy may be used.
 * - `is void`: AWS says that this host is not to have the config. The copy must not be used, and goes.
 * - `waits`: nobody knows, as with credentials that are not accepted. The copy is neither used nor removed.
 */
export type Verdict = 'stands in' | 'is void' | 'waits';

const verdicts: Readonly<Record<string, Verdict>> = {
  SECRET_UNREACHABLE: 'stands in',
  SECRET_THROTTLED: 'stands in',
  DEADLINE_EXCEEDED: 'stands in',
  GATEWAY_CONFIG_EMPTY: 'stands in',
  GATEWAY_CONFIG_TOO_LARGE: 'stands in',
  GATEWAY_CONFIG_NOT_TEXT: 'stands in',
  GATEWAY_CONFIG_NOT_JSON: 'stands in',
  GATEWAY_CONFIG_NOT_OBJECT: 'stands in',
  GATEWAY_CONFIG_VERSION_UNKNOWN: 'stands in',
  GATEWAY_CONFIG_INVALID: 'stands in',
  SECRET_DENIED: 'is void',
  SECRET_NOT_FOUND: 'is void',
  SECRET_VERSION_NOT_FOUND: 'is void',
  SECRET_DELETED: 'is void',
  SECRET_KEY_UNUSABLE: 'is void',
};

export function verdictOn(error: unknown): Verdict {
  return (error instanceof GatehouseError ? verdicts[error.code] : undefined) ?? 'waits';
}
