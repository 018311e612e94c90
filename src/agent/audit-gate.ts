import type { AuditConfig } from '../events/config.ts';
import type { Events } from './events.ts';

/** Asked before access is given. @throws EVENTS_AUDIT_BLOCKED when the audit is full and that is to stop access. */
export type AuditGate = (signal: AbortSignal) => Promise<void>;

/** What `audit.whenFull` says: `allow` lets everything pass; with `deny` every record so far must be durable. */
export function auditGate(
  { whenFull }: AuditConfig,
  events: Pick<Events, 'audited'> | undefined,
): AuditGate | undefined {
  return whenFull === 'deny' && events !== undefined ? (signal) => events.audited(signal) : undefined;
}
