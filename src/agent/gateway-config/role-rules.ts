import type { Problem } from '../../base/errors.ts';
import { pathText } from '../../config/path-text.ts';

/** The places of a gateway config that may name a role. */
interface Section {
  readonly secrets: Readonly<
    Record<string, { readonly secretsManager?: { readonly roleArn?: string | undefined } | undefined }>
  >;
}

/** What roles the gateway config may have the host assume for itself: those that the bootstrap config lists. */
export function rolesArePermitted({ secrets }: Section, permitted: readonly string[]): Problem[] {
  return Object.entries(secrets).flatMap(([name, { secretsManager }]) => {
    const roleArn = secretsManager?.roleArn;
    if (roleArn === undefined || isListed(roleArn, permitted)) return [];
    const path = pathText(['secrets', name, 'secretsManager', 'roleArn']);
    return [{ path, message: 'is not permitted by allow.assumeRoles of the bootstrap config' }];
  });
}

/** A "*" counts at the end only, so that a pattern never means another account. */
export function isListed(roleArn: string, permitted: readonly string[]): boolean {
  return permitted.some((listed) =>
    listed.endsWith('*') ? roleArn.startsWith(listed.slice(0, -1)) : roleArn === listed,
  );
}
