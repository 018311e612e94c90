import type { Problem } from '../../base/errors.ts';
import { pathText } from '../../config/path-text.ts';

interface Assuming {
  readonly roleArn?: string | undefined;
}

/** The places of a gateway config that may name a role. */
interface Sections {
  readonly secrets: Readonly<Record<string, { readonly secretsManager?: Assuming | undefined }>>;
  readonly events?: (Assuming & { readonly sources: Readonly<Record<string, Assuming>> }) | undefined;
}

/** What roles the gateway config may have the host assume for itself: those that the bootstrap config lists. */
export function rolesArePermitted(sections: Sections, permitted: readonly string[]): Problem[] {
  return rolesOf(sections).flatMap(([at, { roleArn } = {}]) => {
    if (roleArn === undefined || isListed(roleArn, permitted)) return [];
    const path = pathText([...at, 'roleArn']);
    return [{ path, message: 'is not permitted by allow.assumeRoles of the bootstrap config' }];
  });
}

function rolesOf({ secrets, events }: Sections): [at: string[], Assuming | undefined][] {
  return [
    ...Object.entries(secrets).map(([name, { secretsManager }]): [string[], Assuming | undefined] => [
      ['secrets', name, 'secretsManager'],
      secretsManager,
    ]),
    [['events'], events],
    ...Object.entries(events?.sources ?? {}).map(([name, source]): [string[], Assuming] => [
      ['events', 'sources', name],
      source,
    ]),
  ];
}

/** A "*" counts at the end only, so that a pattern never means another account. */
export function isListed(roleArn: string, permitted: readonly string[]): boolean {
  return permitted.some((listed) =>
    listed.endsWith('*') ? roleArn.startsWith(listed.slice(0, -1)) : roleArn === listed,
  );
}
