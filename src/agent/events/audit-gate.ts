import type { Log } from '../../base/log-events.ts';
import type { Delivery } from '../../delivery/delivery.ts';
import { deliveryEvent } from '../../delivery/log-events.ts';
import type { AuditConfig } from '../../events/config.ts';
import type { SecretSource } from '../../secrets/secret-source.ts';
import type { Events } from '../events.ts';

/** Asked before access is given. @throws EVENTS_AUDIT_BLOCKED when the audit is full and that is to stop access. */
export type AuditGate = (signal: AbortSignal) => Promise<void>;

/** What `audit.whenFull` says: `allow` lets everything pass; with `deny` every record so far must be durable. */
export function auditGate(
  { whenFull }: AuditConfig,
  events: Pick<Events, 'audited'> | undefined,
): AuditGate | undefined {
  return whenFull === 'deny' && events !== undefined ? (signal) => events.audited(signal) : undefined;
}

/** A source that reads only while the records of what was read before are durable. */
export function gated<Reference>(
  gate: AuditGate | undefined,
  source: SecretSource<Reference>,
): SecretSource<Reference> {
  if (gate === undefined) return source;
  return {
    async read(reference, signal) {
      await gate(signal);
      return source.read(reference, signal);
    },
  };
}

/** A delivery of which the record is durable before it is made: once for each version, for a retry is the same access. */
export function announced(gate: AuditGate | undefined, file: string, delivery: Delivery, log: Log): Delivery {
  if (gate === undefined) return delivery;
  let announcedVersion: string | undefined;
  return {
    async deliver(secret, signal) {
      const { name, version } = secret;
      if (announcedVersion !== version)
        log(deliveryEvent('delivery.begun', { delivery: file, secret: name, version }));
      await gate(signal);
      announcedVersion = version;
      return delivery.deliver(secret, signal);
    },
    withdraw: (signal) => delivery.withdraw(signal),
  };
}
