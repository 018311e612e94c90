import { backoffMs } from '../base/retry.ts';
import type { Secret } from '../base/secret.ts';
import { runTasks } from '../base/task-group.ts';
import type { DeliveryStatus } from '../delivery/deliveries.ts';
import { deliveries } from '../delivery/deliveries.ts';
import { type FileDeliveryParts, fileDelivery } from '../delivery/file.ts';
import { parseSealedMessage } from '../keys/sealed-message.ts';
import { sealedBytesMax } from '../keys/sealer.ts';
import type { SecretSourceName } from '../secrets/config.ts';
import { sealedFile } from '../secrets/sealed-file.ts';
import type { SecretReading } from '../secrets/secret-source.ts';
import { type SecretStatus, secrets } from '../secrets/secrets.ts';
import { type SecretsManagerReference, secretsManager } from '../secrets/secrets-manager.ts';
import { runCommand } from '../system/command.ts';
import { openDirectory, readRegularFile } from '../system/files.ts';
import { owners } from '../system/owners.ts';
import type { GatewayConfig } from './config.ts';
import { type AuditGate, announced, gated } from './events/audit-gate.ts';
import type { Events } from './events.ts';
import type { Host } from './host.ts';
import type { KeyAccess } from './key-access.ts';

/** The secrets of the host and what is done with them: read, held, delivered. */
export interface WorkloadSecrets {
  /** Follows a config: reads every secret, tries every delivery once. What fails is said, and tried again. */
  configure(config: Pick<GatewayConfig, 'secrets' | 'deliveries'>, signal: AbortSignal): Promise<void>;
  /** Reads every secret again and delivers those that changed. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Tries again what failed, secrets and deliveries, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  status(): { readonly secrets: readonly SecretStatus[]; readonly deliveries: readonly DeliveryStatus[] };
  /** The last good value; undefined where there is none. Not to be disposed of. */
  value(name: string): Secret | undefined;
  /** Overwrites every value held. */
  close(): void;
}

/** A secret that cannot be read is asked for again after a wait between these. */
const retryMsMin = 2_000;
const retryBackoff = { baseMs: 2_000, capMs: 60_000 };

/** What delivery to files below these folders needs of the system. */
export function fileDeliveryParts(allowedUnder: readonly string[]): FileDeliveryParts {
  return {
    allowedUnder,
    self: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    openDirectory,
    ownerIds: owners(runCommand),
    delivered: new Map<string, string>(),
  };
}

export interface WorkloadOptions {
  /** Where access depends on its audit record. */
  readonly gate?: AuditGate | undefined;
  /** What ships events: told of each value before anybody has it. */
  readonly events?: Pick<Events, 'redact' | 'secretsAre'> | undefined;
  /**
   * What reading all secrets of a source may take in one round, in milliseconds, asked at its beginning. Infinity, as
   * where it is not given: as long as the calls take, of which each has its own limits.
   */
  readonly roundMsMax?: (source: SecretSourceName) => number;
}

export function workloadSecrets(
  host: Host,
  keys: KeyAccess,
  { gate, events, roundMsMax = () => Infinity }: WorkloadOptions = {},
): WorkloadSecrets {
  const { log } = host.recorder;
  const { clock } = host.launch;
  const { name, allow } = host.bootstrap.config;

  const client = ({ roleArn, externalId, sessionName }: SecretsManagerReference) => {
    const { aws } = roleArn === undefined ? host : host.roles.as({ roleArn, externalId, sessionName });
    return aws.secretsManager();
  };
  const inSealedFile = gated(
    gate,
    sealedFile({
      agentName: name,
      readFile: (path) => readRegularFile(path, { bytesMax: sealedBytesMax }),
      contextOf: (sealed) => parseSealedMessage(sealed).context,
      open: (sealed, context, signal) => keys.open(sealed, context, signal),
      admit: (file, signal) => keys.records.admit(file, signal),
    }),
  );

  async function redacted(secret: string, read: Promise<SecretReading>): Promise<SecretReading> {
    const reading = await read;
    await events?.redact(secret, reading.value);
    return reading;
  }

  /** All that is read so has to be there within so much from now on. */
  function limit(what: string, withinMs: number) {
    const until = clock.monotonic() + withinMs;
    return (read: (signal: AbortSignal) => Promise<SecretReading>, signal: AbortSignal) =>
      until === Infinity
        ? read(signal)
        : clock.deadline(Math.max(1, Math.round(until - clock.monotonic())), what, signal, read);
  }

  const held = secrets({
    clock,
    log,
    round() {
      const values = secretsManager(client);
      const inSecretsManager = gated(gate, values);
      const inTime = limit('Secrets Manager', roundMsMax('secretsManager'));
      const inTimeSealed = limit('KMS', roundMsMax('sealedFile'));
      return {
        secretsManager: (secret, place, signal) =>
          redacted(
            secret,
            inTime((sig) => inSecretsManager.read(place, sig), signal),
          ),
        sealedFile: (secret, path, signal) =>
          redacted(
            secret,
            inTimeSealed((sig) => inSealedFile.read({ name: secret, path }, sig), signal),
          ),
        [Symbol.dispose]: () => values[Symbol.dispose](),
      };
    },
  });

  const parts = fileDeliveryParts(allow.deliverTo);
  const delivered = deliveries({
    log,
    clock,
    make: (config) => announced(gate, config.file, fileDelivery(config, parts), log),
    secretOf: (secret) => held.get(secret),
  });

  /** Reads the named secrets, or all, and delivers those that changed. */
  async function refresh(names: readonly string[] | undefined, signal: AbortSignal): Promise<void> {
    const { changed } = await held.refresh(names, signal);
    if (changed.length > 0) await delivered.deliver(changed, signal);
    await keys.records.keep(signal);
  }

  async function retryFailed(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; ; ) {
      await clock.sleep(retryMsMin + backoffMs(attempt, retryBackoff), signal);
      const failing = held.status().filter((secret) => secret.failing !== undefined);
      attempt = failing.length === 0 ? 0 : attempt + 1;
      if (failing.length > 0)
        await refresh(
          failing.map((secret) => secret.name),
          signal,
        );
    }
  }

  return {
    async configure(config, signal) {
      held.configure(config.secrets);
      await held.refresh(undefined, signal);
      events?.secretsAre(Object.keys(config.secrets));
      delivered.configure(config.deliveries);
      await delivered.deliver(undefined, signal);
      await keys.records.keep(signal);
    },
    refresh: (signal) => refresh(undefined, signal),
    run: (signal) => runTasks([(sig) => delivered.run(sig), retryFailed], signal),
    status: () => ({ secrets: held.status(), deliveries: delivered.status() }),
    value: (secret) => held.get(secret)?.value,
    close: () => held.close(),
  };
}
