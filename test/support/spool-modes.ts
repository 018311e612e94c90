import type { GatewayDocument } from './host.ts';

export const spoolModes = ['always', 'when-needed'] as const;

export type SpoolMode = (typeof spoolModes)[number];

/** Has a host spool in this mode. */
export function spooling(mode: SpoolMode): (document: GatewayDocument) => void {
  return ({ events }) => {
    if (events !== undefined) events['spool'] = { mode };
  };
}
