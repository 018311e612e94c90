import { resolve } from 'node:path';
import type { Problem } from '../../base/errors.ts';
import { keysError } from '../../keys/errors.ts';
import { type Change, targetOf } from '../../keys/ledger.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { fingerprintOf, newMasterKey, openMasterKey, proofOf, wrapMasterKey } from '../../keys/master-key.ts';
import { type Progress, type Reencrypted, reencrypt } from '../../keys/reencryption.ts';
import type { Launch } from '../launch.ts';
import { bindingKeyArnOf } from './binding-key-arn.ts';
import { newPassword } from './create.ts';
import { findSealedFiles } from './find-sealed-files.ts';
import {
  asOperator,
  authorise,
  type Operator,
  openProven,
  type Passwords,
  wantedBinding,
} from './operator.ts';
import { type Publication, publishing } from './publication.ts';
import { sealedFiles } from './sealed-files.ts';
import { sealingGeneration } from './state.ts';

export interface ChangeRequest {
  /** Keep: the new key has the password of the old one. New: another one. Back: gives the change up that is under way. */
  readonly how: 'keep-password' | 'new-password' | 'back';
  readonly passwords: Passwords;
  /** Files, and folders of files, that were sealed on this host and are not in its records. */
  readonly also: readonly string[];
  /** Files to be left out for good: nothing will open them. */
  readonly forget: readonly string[];
  readonly concurrency: number;
  readonly progress: (progress: Progress) => void;
}

export interface ChangedMasterKey {
  /** The generation that every file is under now. */
  readonly generation: number;
  readonly fingerprint: string;
  /** True when the change was given up. */
  readonly isBack: boolean;
  readonly files: number;
  /** Files that were on record and are no more, or are no more under the master key. */
  readonly gone: readonly string[];
}

const problemsMax = 100;

/**
 * Replaces the master key and re-encrypts every file that is sealed under it; or goes on with a change that was
 * interrupted, or takes it back. Safe at any instant: each file opens with the old or the new generation, and both are
 * there until every file was opened again under the one.
 * @throws MASTER_KEY_CHANGING, MASTER_KEY_NOT_CHANGING, MASTER_KEY_FILES_LEFT, MASTER_KEY_ABSENT, PASSWORD_…, KEY_…,
 *   FILE_SYSTEM_FULL, LEDGER_…
 */
export function changeMasterKey(
  launch: Launch,
  request: ChangeRequest,
  signal: AbortSignal,
): Promise<ChangedMasterKey> {
  return asOperator(launch, { isMade: false }, async (operator) => {
    const { state } = operator;
    const lock = state.lockChanges();
    try {
      return await publishing(
        operator,
        (publication) => changed(operator, request, publication, signal),
        signal,
      );
    } finally {
      lock.release();
    }
  });
}

async function changed(
  operator: Operator,
  request: ChangeRequest,
  publication: Publication,
  signal: AbortSignal,
): Promise<ChangedMasterKey> {
  const { state, keys, log } = operator;
  const change = await changeOf(operator, request, publication, signal);
  const target = targetOf(change);
  // Both, before a file is touched: without one of them nothing could be done.
  await openProven(operator, change.from, signal);
  const masterKey = await openProven(operator, change.to, signal);
  const targetKey = target === change.to ? masterKey : await keys.open(target, signal);
  for (const path of await findSealedFiles(request.also)) state.ledger.expect(path);
  state.ledger.forget(request.forget.map((path) => resolve(path)));

  const done = await reencryptAll(operator, change, request, publication, signal);
  const fingerprint = fingerprintOf(targetKey);
  const isBack = change.direction === 'back';
  log(keysEvent('master-key.changed', { generation: target, fingerprint, files: done.files, isBack }));
  return { generation: target, fingerprint, isBack, files: done.files, gone: done.gone };
}

/**
 * Tells the registry what the generations are, before the change ends here: until it knows, the change goes on when it is
 * run again. The one that seals comes first, for at every instant there has to be one to give back.
 */
async function publishStates(
  { state, keys }: Operator,
  change: Change,
  publication: Publication,
  signal: AbortSignal,
): Promise<void> {
  const { from, to } = change;
  const states =
    targetOf(change) === to
      ? ([
          [to, 'current'],
          [from, 'retired'],
        ] as const)
      : ([
          [from, 'current'],
          [to, 'abandoned'],
        ] as const);
  for (const [number, generationState] of states) {
    const wrapped = await state.readWrapped(number);
    if (wrapped === undefined) continue;
    const fingerprint = fingerprintOf(await keys.open(number, signal));
    await publication.publish({ number, state: generationState, fingerprint }, wrapped, signal);
  }
}

/** The change that was interrupted, or a new one. */
async function changeOf(
  operator: Operator,
  request: ChangeRequest,
  publication: Publication,
  signal: AbortSignal,
): Promise<Change> {
  const { state, log } = operator;
  const interrupted = state.ledger.change();
  if (request.how === 'back') {
    if (interrupted === undefined) throw keysError('MASTER_KEY_NOT_CHANGING');
    await authorise(await openProven(operator, interrupted.from, signal), request.passwords);
    state.ledger.turnBack();
    return { ...interrupted, direction: 'back' };
  }
  if (interrupted === undefined) return begun(operator, request, publication, signal);
  // Its password was given when it began; another one cannot be set half-way.
  if (request.how === 'new-password') {
    const { at: done, all: of } = state.ledger.count(targetOf(interrupted));
    throw keysError('MASTER_KEY_CHANGING', { done, of });
  }
  log(keysEvent('master-key.change-resumed', { from: interrupted.from, to: interrupted.to }));
  return interrupted;
}

async function begun(
  operator: Operator,
  request: ChangeRequest,
  publication: Publication,
  signal: AbortSignal,
): Promise<Change> {
  const { state, keys, agentName, host, log } = operator;
  const from = sealingGeneration(state);
  const old = await openProven(operator, from, signal);
  await authorise(old, request.passwords);
  const verifier =
    request.how === 'new-password' ? await newPassword(operator, request.passwords) : old.password;
  // Never a number that was used, be it by a change that ended before it began.
  const used = state.ledger.generations().map(({ number }) => number);
  const to = Math.max(from, await publication.highest(signal), ...used) + 1;
  const binding = await wantedBinding(operator, await bindingKeyArnOf(state, from), signal);
  const masterKey = newMasterKey(to, verifier);
  keys.add(masterKey);
  const wrapped = await wrapMasterKey(masterKey, agentName, binding, signal);
  const again = await openMasterKey(wrapped, { agentName, generation: to }, binding, signal);
  again.key.dispose();
  // What lies there was made by a change that never began: nothing is sealed under it.
  await state.writeWrapped(to, wrapped, { overwrite: true });
  const fingerprint = fingerprintOf(masterKey);
  await publication.publish({ number: to, state: 'next', fingerprint }, wrapped, signal);
  const now = host.launch.clock.now();
  const change = state.ledger.begin({ number: to, createdAt: now, proof: proofOf(masterKey, now) });
  log(keysEvent('master-key.change-began', { from, to, keyArn: binding.keyArn }));
  return change;
}

async function reencryptAll(
  operator: Operator,
  change: Change,
  { concurrency, progress }: ChangeRequest,
  publication: Publication,
  signal: AbortSignal,
): Promise<Reencrypted> {
  const { state, keys } = operator;
  const { ledger } = state;
  const target = targetOf(change);
  const files = sealedFiles();
  const gone: string[] = [];
  try {
    for (;;) {
      const options = {
        ledger,
        files,
        keyOf: keys.keyOf,
        target,
        concurrency,
        progress,
        keep: (sig: AbortSignal) => publication.keep(sig),
      };
      const done = await reencrypt(options, signal);
      gone.push(...done.gone);
      if (done.left.length > 0) {
        const problems = done.left
          .slice(0, problemsMax)
          .map(({ path, error }): Problem => ({ path, message: `${error.summary} (${error.code})` }));
        const { at, all: of } = ledger.count(target);
        throw keysError('MASTER_KEY_FILES_LEFT', { done: at, of, left: done.left.length, problems });
      }
      await publishStates(operator, change, publication, signal);
      // False when something was being sealed this moment: it is looked at, and it is under the new key.
      if (ledger.finish()) return { ...done, gone };
    }
  } finally {
    await files.close();
  }
}
