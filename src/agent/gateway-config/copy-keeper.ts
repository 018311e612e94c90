import type { Clock } from '../../base/clock.ts';
import { type ErrorReport, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import { backoffMs } from '../../base/retry.ts';
import { copyContext, type Question } from '../../config/last-known-good.ts';
import { configEvent } from '../../config/log-events.ts';
import { wake } from '../../events/wake.ts';
import type { DataKeys } from '../../keys/data-keys.ts';
import { keptKeyring, keyNamedIn } from '../../keys/kept-keyring.ts';
import type { KeyName } from '../../keys/keyring.ts';
import { sealBytes } from '../../keys/message-sealer.ts';
import { parseHeader } from '../../keys/sealed-message.ts';
import { type CopyClaims, type CopyOnDisk, type FoundCopy, keyText } from './copy-on-disk.ts';
import type { FetchedVersion } from './followed-config.ts';

/** What `status` says of the copy on the disk. */
export interface CopyStatus {
  /** The version in it; absent where there is none, or none yet. */
  readonly versionId?: string;
  /** ISO 8601. */
  readonly sealedAt?: string;
  /** The ARN of a KMS key, or a generation of the master key. */
  readonly sealedUnder?: string;
  /** Why none is kept: `no binding key`, `switched off`, or the code with which AWS refused this host the config. */
  readonly notKept?: string;
  /** Code of the error that keeps the newest version from being kept; it is tried again. */
  readonly failing?: string;
}

/** Keeps the sealed copy at the version that is in use. */
export interface CopyKeeper {
  /** Takes a version that was fetched and is in use; its value is disposed of here. */
  offer(version: FetchedVersion): void;
  /** Removes the copy, and keeps none until a version is offered again; `reason` is for log and status. */
  withdraw(reason: string): Promise<void>;
  /** Writes what was offered, until `signal` aborts; throws its reason. Nothing else ends it. */
  run(signal: AbortSignal): Promise<void>;
  state(): CopyStatus;
}

export interface CopyKeeperOptions {
  readonly disk: CopyOnDisk;
  readonly question: Question;
  readonly dataKeys: Pick<DataKeys, 'create' | 'isCurrent'>;
  /** Refuses a key that could not open the copy when it is needed. @throws KEY_NOT_TRUSTED, CREDENTIALS_… */
  requireTrusted(key: KeyName, signal: AbortSignal): Promise<void>;
  /** The same of the key of a copy that is there, without a call to anybody. @throws KEY_NOT_TRUSTED */
  requireNamed(key: KeyName): Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What sealing may take: one call to KMS with its repetitions. */
const sealMsMax = 30_000;
const backoff = { baseMs: 10_000, capMs: 10 * 60_000 };

export function copyKeeper(options: CopyKeeperOptions): CopyKeeper {
  const { disk, question, dataKeys, clock, log } = options;
  const keyring = keptKeyring(dataKeys);
  const offered = wake();
  let wanted: FetchedVersion | undefined;
  let kept: CopyClaims | undefined;
  let failing: ErrorReport | undefined;
  /** Why the copy was withdrawn; an offer ends that. */
  let withdrawn: string | undefined;
  /** Over before anything is kept again: it would take that away. */
  let removal: Promise<void> = Promise.resolve();
  /** Code of what is wrong with the copy on the disk, said already. */
  let spoilt: string | undefined;

  async function found(): Promise<FoundCopy | undefined> {
    try {
      const copy = await disk.read();
      spoilt = undefined;
      return copy;
    } catch (error) {
      const report = reportOf(error);
      if (report.code !== spoilt) log(configEvent('config.last-known-good-replaced', { error: report }));
      spoilt = report.code;
      return undefined;
    }
  }

  /** Tells of the copy that is on the disk, which stays in use where no newer one can be kept. */
  function tell(there: CopyClaims | undefined): void {
    if (withdrawn === undefined) kept = there;
  }

  async function keep(version: FetchedVersion, signal: AbortSignal): Promise<void> {
    await removal;
    const there = (await found())?.claims;
    try {
      if (await isKept(version, there)) tell(there);
      else await seal(version, signal);
    } catch (error) {
      tell(there);
      throw error;
    }
  }

  async function isKept({ versionId }: FetchedVersion, there: CopyClaims | undefined): Promise<boolean> {
    const key = there?.sealedUnder;
    if (there?.versionId !== versionId || key === undefined || !dataKeys.isCurrent(key)) return false;
    await options.requireNamed(key);
    return true;
  }

  /** One call to KMS, and perhaps one to STS. */
  async function seal({ versionId, value }: FetchedVersion, signal: AbortSignal): Promise<void> {
    const context = copyContext(question, { versionId, sealedAt: clock.now() });
    const message = await clock.deadline(sealMsMax, 'KMS', signal, async (within) => {
      const sealed = await sealBytes(value.revealBytes(), context, keyring, within);
      const key = keyNamedIn(parseHeader(sealed));
      if (key !== undefined) await options.requireTrusted(key, within);
      return sealed;
    });
    if (withdrawn !== undefined) return;
    await disk.write(message);
    spoilt = undefined;
    // Withdrawn while it was being written.
    if (withdrawn !== undefined) {
      await disk.remove();
      return;
    }
    kept = (await disk.read())?.claims;
    log(configEvent('config.last-known-good-kept', { versionId, key: keyText(kept?.sealedUnder) }));
  }

  async function untilKept(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; wanted !== undefined; attempt += 1) {
      // Taken, so that a newer offer does not overwrite what is being sealed.
      const version = wanted;
      wanted = undefined;
      try {
        await keep(version, signal);
        failing = undefined;
        version.value.dispose();
      } catch (error) {
        const isOutdated = wanted !== undefined || withdrawn !== undefined;
        if (signal.aborted || isOutdated) version.value.dispose();
        else wanted = version;
        signal.throwIfAborted();
        if (withdrawn !== undefined) return;
        const report = reportOf(error);
        const { versionId } = version;
        if (report.code !== failing?.code) {
          log(configEvent('config.last-known-good-failed', { versionId, error: report }));
        }
        failing = report;
        await clock.sleep(backoffMs(attempt, backoff), signal);
      }
    }
  }

  return {
    offer(version) {
      wanted?.value.dispose();
      wanted = version;
      withdrawn = undefined;
      offered.ring();
    },

    async withdraw(reason) {
      withdrawn = reason;
      wanted?.value.dispose();
      wanted = undefined;
      kept = undefined;
      failing = undefined;
      removal = removed(disk, reason, log);
      await removal;
    },

    async run(signal) {
      try {
        await disk.removeStale().catch(() => undefined);
        // Of an agent that was started by the copy; else keeping the version that was fetched tells.
        if (wanted === undefined) tell((await disk.read().catch(() => undefined))?.claims);
        for (;;) {
          await untilKept(signal);
          await offered.rung(signal);
          signal.throwIfAborted();
        }
      } finally {
        wanted?.value.dispose();
      }
    },

    state: () => ({
      ...(kept === undefined
        ? {}
        : {
            versionId: kept.versionId,
            sealedAt: kept.sealedAt.toISOString(),
            sealedUnder: keyText(kept.sealedUnder),
          }),
      ...(withdrawn === undefined ? {} : { notKept: withdrawn }),
      ...(failing === undefined ? {} : { failing: failing.code }),
    }),
  };
}

/** Of a host that keeps no copy: one that is there from before, of a config that may be old, goes. */
export function noCopy(disk: CopyOnDisk, reason: 'no binding key' | 'switched off', log: Log): CopyKeeper {
  return {
    offer: ({ value }) => value.dispose(),
    withdraw: (why) => removed(disk, why, log),
    run: () => removed(disk, reason, log),
    state: () => ({ notKept: reason }),
  };
}

/** Removes the copy, and says so where there was one. What fails is said as well: an old config is still there then. */
export async function removed(disk: CopyOnDisk, reason: string, log: Log): Promise<void> {
  try {
    if (await disk.remove()) log(configEvent('config.last-known-good-removed', { reason }));
  } catch (error) {
    const { path: file } = disk;
    log(configEvent('config.last-known-good-unremoved', { reason, file, error: reportOf(error) }));
  }
}
