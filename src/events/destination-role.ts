import type { EventsConfig } from './config.ts';

/** A role that sends events. */
export interface DestinationRole {
  readonly roleArn: string;
  readonly externalId?: string | undefined;
  readonly sessionName?: string | undefined;
}

/**
 * The role under which streams go that name this source (`StreamName.roleOf`), or none; undefined where that is the
 * host's own. A source that has lost its role since a batch was spooled, or is gone, goes as the others do.
 */
export function destinationRole(
  config: Pick<EventsConfig, 'roleArn' | 'externalId' | 'sessionName' | 'sources'>,
  roleOf: string | undefined,
): DestinationRole | undefined {
  const own = roleOf === undefined ? undefined : config.sources[roleOf];
  const { roleArn, externalId, sessionName } = own?.roleArn === undefined ? config : own;
  return roleArn === undefined ? undefined : { roleArn, externalId, sessionName };
}
