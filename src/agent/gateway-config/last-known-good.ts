import { reportOf } from '../../base/errors.ts';
import { copyContext, type Question } from '../../config/last-known-good.ts';
import { configEvent } from '../../config/log-events.ts';
import type { DataKeys } from '../../keys/data-keys.ts';
import { keptUnwrapper } from '../../keys/kept-keyring.ts';
import { kmsUnwrapper } from '../../keys/kms-keyring.ts';
import { masterKeys } from '../../keys/master-keys.ts';
import { openBytes } from '../../keys/message-sealer.ts';
import type { StateDirectory } from '../../system/state-directory.ts';
import { kmsOf } from '../aws/kms-of.ts';
import type { Host } from '../host.ts';
import {
  fingerprintOnRecord,
  type MasterKeyState,
  openMasterKeyState,
  readWrappedKey,
} from '../master-key/state.ts';
import { type CopyKeeper, copyKeeper, noCopy, removed } from './copy-keeper.ts';
import { copyOnDisk, type FoundCopy, keyText } from './copy-on-disk.ts';
import { copyTrust } from './copy-trust.ts';
import type { CopiedVersion } from './followed-config.ts';
import { verdictOn } from './stand-in.ts';
import { validGateway } from './valid-gateway.ts';

/** The sealed copy of the gateway config that this host last found good. */
export interface LastKnownGood {
  /** Whether there is something to fall back on. */
  isThere(): boolean;
  /**
   * The version to start with instead of one that could not be fetched for `error`.
   * @throws `error` itself where that forbids it, or there is no copy; why a copy does not open is logged
   */
  standIn(error: unknown, signal: AbortSignal): Promise<CopiedVersion>;
  /** Removes the copy where AWS says that this host is not to have the config. */
  heed(error: unknown): Promise<void>;
  /** Keeps the copy from now on. Without data keys, for want of a binding key, there is to be none. */
  keeper(dataKeys: DataKeys | undefined): CopyKeeper;
}

export function lastKnownGood(host: Host, state: StateDirectory, secretName: string): LastKnownGood {
  const { bootstrap, launch, recorder } = host;
  const { gatewayConfig } = bootstrap.config;
  const { clock } = launch;
  const { log } = recorder;
  const { enabled } = gatewayConfig.lastKnownGood;
  const question = questionOf(host, state.hostId, secretName);
  const disk = copyOnDisk(state.path, question);
  const trust = copyTrust(host);
  let keeping: CopyKeeper | undefined;

  async function opened({ message, claims }: FoundCopy, signal: AbortSignal): Promise<CopiedVersion> {
    const kms = kmsUnwrapper({ trust: await trust.trust(signal), kmsFor: kmsOf(host) });
    let masterKeyState: MasterKeyState | undefined;
    const keys = masterKeys({
      agentName: bootstrap.config.name,
      readWrapped: (generation) => readWrappedKey(state.path, generation),
      bindingKey: kms,
      // Only a copy under the master key needs the ledger, which may be damaged, or busy.
      fingerprintOnRecord(generation) {
        masterKeyState ??= openMasterKeyState(state.path, { isMade: false, busyMsMax: ledgerBusyMsMax });
        return masterKeyState && fingerprintOnRecord(masterKeyState, generation);
      },
    });
    try {
      const unwrapper = keptUnwrapper(kms, keys.keyOf);
      const { bytes, openedBy } = await openBytes(message, copyContext(question, claims), unwrapper, signal);
      try {
        const config = await validGateway(bootstrap.config, { bytes });
        const { versionId, sealedAt } = claims;
        return { config, versionId, sealedAt, key: keyText(openedBy) };
      } finally {
        bytes.fill(0);
      }
    } finally {
      keys.close();
      masterKeyState?.close();
    }
  }

  /** What will never open is put out of the way, so that a good one is written as soon as there is one. */
  async function tellUnusable(failure: unknown): Promise<void> {
    const report = reportOf(failure);
    const setAside = neverOpens.test(report.code) ? await disk.setAside().catch(() => undefined) : undefined;
    log(configEvent('config.last-known-good-unusable', { secretName, error: report, setAside }));
  }

  return {
    isThere: () => enabled && disk.isThere(),

    async standIn(error, signal) {
      if (!enabled || verdictOn(error) !== 'stands in') throw error;
      try {
        const found = await disk.read();
        if (found === undefined) throw error;
        const version = await clock.deadline(openMsMax, 'KMS', signal, (within) => opened(found, within));
        const { versionId, sealedAt, key } = version;
        log(
          configEvent('config.last-known-good-used', {
            secretName,
            versionId,
            sealedAt: sealedAt.toISOString(),
            ageSeconds: Math.max(0, Math.round((clock.now().getTime() - sealedAt.getTime()) / 1000)),
            key,
            error: reportOf(error),
          }),
        );
        return version;
      } catch (failure) {
        signal.throwIfAborted();
        if (failure !== error) await tellUnusable(failure);
        throw error;
      }
    },

    async heed(error) {
      if (verdictOn(error) !== 'is void') return;
      const { code } = reportOf(error);
      await (keeping?.withdraw(code) ?? removed(disk, code, log));
    },

    keeper(dataKeys) {
      if (!enabled) return noCopy(disk, 'switched off', log);
      if (dataKeys === undefined) return noCopy(disk, 'no binding key', log);
      keeping = copyKeeper({
        disk,
        question,
        dataKeys,
        requireTrusted: (key, signal) => trust.requireTrusted(key, signal),
        requireNamed: (key) => trust.requireNamed(key),
        clock,
        log,
      });
      return keeping;
    },
  };
}

/** Codes that say that the copy is not what this host sealed. */
const neverOpens = /^(?:SEALED_.*|GATEWAY_CONFIG_COPY_DAMAGED|KEY_CIPHERTEXT_REFUSED|MASTER_KEY_MISMATCH)$/u;

/** What opening may take: a call to STS and two to KMS, with their repetitions. */
const openMsMax = 45_000;
const ledgerBusyMsMax = 500;

/** What this host asks Secrets Manager for. */
export function questionOf(
  { bootstrap, region }: Pick<Host, 'bootstrap' | 'region'>,
  hostId: string,
  secretName: string,
): Question {
  const { name, gatewayConfig } = bootstrap.config;
  const { versionStage } = gatewayConfig;
  const agentName = bootstrap.origins.get('name') === 'host name' ? undefined : name;
  return { secretName, versionStage, region, hostId, agentName };
}
