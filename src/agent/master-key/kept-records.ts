import { reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';
import type { Proof } from '../../keys/ledger.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { generationOf, isUnderMasterKey } from '../../keys/master-keyring.ts';
import { parseHeader } from '../../keys/sealed-message.ts';
import { secretsError } from '../../secrets/errors.ts';
import { secretsEvent } from '../../secrets/log-events.ts';
import type { OpenedSealedFile } from '../../secrets/sealed-file.ts';
import { type MasterKeyState, openMasterKeyState, sealingGeneration } from './state.ts';

/**
 * The master key's records as the running agent uses them: best effort. Without them sealed files still open, and that
 * an older one was put back is not noticed, which is said in the log.
 */
export interface KeptRecords {
  proven(generation: number, proof: Proof): void;
  /** The generation that seals now. Not best effort. @throws MASTER_KEY_ABSENT, LEDGER_…, STATE_DIRECTORY_… */
  sealingGeneration(): number;
  /** Notes a file that opened. @throws SECRET_ROLLED_BACK where a newer version was seen under its name */
  admit(file: OpenedSealedFile): void;
  close(): void;
}

/** The main thread waits no longer than this for an operator's command. */
const busyMsMax = 500;

export function keptRecords(stateDirectory: string, log: Log): KeptRecords {
  let state: MasterKeyState | undefined;
  let hasFailed = false;

  const opened = (): MasterKeyState => {
    state ??= openMasterKeyState(stateDirectory, { isMade: true, busyMsMax });
    if (state === undefined) throw new TypeError('a folder that is made was not');
    return state;
  };

  function bestEffort<T>(work: () => T): T | undefined {
    try {
      const result = work();
      hasFailed = false;
      return result;
    } catch (error) {
      if (!hasFailed) log(keysEvent('master-key.records-failed', { error: reportOf(error) }));
      hasFailed = true;
      return undefined;
    }
  }

  return {
    proven: (generation, proof) => bestEffort(() => opened().ledger.proven(generation, proof)),

    sealingGeneration: () => sealingGeneration(opened()),

    admit({ name, path, version, sealed }) {
      const seen = bestEffort(() => opened().ledger.seen(name)) ?? { version: 0 };
      if (version < seen.version) {
        throw secretsError('SECRET_ROLLED_BACK', { secret: name, path, version, seen: seen.version });
      }
      const { loweredFrom = 0 } = seen;
      if (version < loweredFrom) {
        log(secretsEvent('secret.older-admitted', { secret: name, version, seen: loweredFrom }));
      }
      bestEffort(() => {
        const { ledger } = opened();
        if (version > seen.version) ledger.see(name, version);
        const under = parseHeader(sealed).wrappedKeys.find(isUnderMasterKey);
        // So that a change of the master key finds it, wherever it came from.
        if (under !== undefined) ledger.expect(path, generationOf(under));
      });
    },

    close: () => state?.close(),
  };
}
