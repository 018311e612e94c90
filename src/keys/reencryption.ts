import { type ErrorReport, GatehouseError, reportOf } from '../base/errors.ts';
import type { Unwrapper } from './keyring.ts';
import type { Ledger } from './ledger.ts';
import {
  generationOf,
  isUnderMasterKey,
  type MasterKeyOf,
  masterKeyring,
  masterKeyUnwrapper,
} from './master-keyring.ts';
import { messageIn, sealMessage } from './message-cipher.ts';
import { damaged, type MessageHeader } from './sealed-message.ts';

/** A sealed file held open. */
export interface OpenSealedFile {
  /** All its bytes; once, for nothing is read twice. */
  chunks(): AsyncIterable<Uint8Array>;
  /**
   * Writes what is to replace it, durably, under a name of its own, with owner and mode of this one. Nothing is
   * replaced yet.
   */
  stage(sealed: AsyncIterable<Uint8Array>): Promise<StagedFile>;
  close(): Promise<void>;
}

/** The replacement of a sealed file. */
export interface StagedFile {
  /** Takes the file's place; false, and nothing is done, where the file is not the one any more that was opened. */
  commit(): boolean;
  /** Makes commits in its folder durable. */
  sync(): void;
  /** Removes it, if it has not taken the place. */
  discard(): void;
}

/** The sealed files of the host, as re-encryption needs them. Every failure is a FILE_… error. */
export interface SealedFiles {
  /** @throws FILE_NOT_FOUND where there is none */
  open(path: string): Promise<OpenSealedFile>;
  /** Removes what a stage that was interrupted left in the folder of this file. Only one re-encryption runs at a time. */
  sweep(path: string): Promise<void>;
}

export interface ReencryptionOptions {
  readonly ledger: Ledger;
  readonly files: SealedFiles;
  readonly keyOf: MasterKeyOf;
  /** The generation that every file is brought to. */
  readonly target: number;
  /** Files under way at once. */
  readonly concurrency: number;
  /** Called between batches, to hold on to the right to change; what it throws ends the work. */
  readonly keep?: (signal: AbortSignal) => Promise<void>;
  /** Told now and then. */
  readonly progress: (progress: Progress) => void;
}

export interface Progress {
  readonly phase: 'rewriting' | 'checking';
  readonly done: number;
  readonly of: number;
}

/** A file that could not be brought to the generation, and why. It still opens as before, or was damaged already. */
export interface LeftFile {
  readonly path: string;
  readonly error: ErrorReport;
}

export interface Reencrypted {
  /** Files that are at the generation now, each opened again with its key. */
  readonly files: number;
  /** No longer there, or no longer under the master key. */
  readonly gone: readonly string[];
  readonly left: readonly LeftFile[];
}

/** Files committed in one step: each step costs a few writes to the disk, whatever their number. */
const batchFiles = 256;

/** What became of one file. */
type Outcome =
  | { readonly kind: 'staged'; readonly path: string; readonly staged: StagedFile }
  | { readonly kind: 'there' | 'gone' | 'older'; readonly path: string }
  | { readonly kind: 'left'; readonly path: string; readonly error: ErrorReport }
  /** Nothing more can be written, whichever file it is. */
  | { readonly kind: 'stopped'; readonly path: string; readonly error: GatehouseError };

/**
 * Brings every file of the ledger under one generation of the master key.
 *
 * It may end at any instant and is run again: a file is replaced whole, by rename, and says itself under which
 * generation it is; the ledger only says where to look. Files are read and written in constant memory; what was
 * verified of the old one is what is written to the new one, which takes its place only after the last frame of the
 * old was verified. A file that cannot be read is left, and the rest goes on.
 */
export async function reencrypt(options: ReencryptionOptions, signal: AbortSignal): Promise<Reencrypted> {
  const gone: string[] = [];
  for (;;) {
    const rewritten = await rewriteAll(options, signal);
    const checked = await checkAll(options, rewritten.left, signal);
    gone.push(...rewritten.gone, ...checked.gone);
    // Somebody put an older copy back while we were at it.
    if (checked.older.length > 0) continue;
    return { files: checked.good, gone, left: [...rewritten.left, ...checked.left] };
  }
}

async function rewriteAll(options: ReencryptionOptions, signal: AbortSignal) {
  const { ledger, files, target, progress } = options;
  const gone: string[] = [];
  const left = new Map<string, LeftFile>();
  const swept = new Set<string>();
  let counted = ledger.count(target);
  /** With those of a batch that are written, and not yet in place. */
  const report = (staged: number) =>
    progress({ phase: 'rewriting', done: Math.min(counted.at + staged, counted.all), of: counted.all });

  report(0);
  let after = '';
  for (;;) {
    signal.throwIfAborted();
    const paths = ledger.filesNotAt(target, after, batchFiles);
    if (paths.length === 0) {
      // From the beginning again, for what came or changed meanwhile; at an end when all that remains was tried.
      if (ledger.filesNotAt(target, '', left.size + 1).every((path) => left.has(path))) break;
      after = '';
      continue;
    }
    for (const path of paths) {
      const folder = folderOf(path);
      if (!swept.has(folder)) await files.sweep(path).catch(() => undefined);
      swept.add(folder);
    }
    const outcomes = await inLanes(
      paths,
      options.concurrency,
      (path) => (left.has(path) ? Promise.resolve(leftAgain(path, left)) : rewriteOne(path, options, signal)),
      report,
    );
    try {
      signal.throwIfAborted();
      for (const outcome of outcomes) if (outcome.kind === 'stopped') throw outcome.error;
      ledger.moved(() => committed(outcomes, target));
    } finally {
      for (const outcome of outcomes) if (outcome.kind === 'staged') outcome.staged.discard();
    }
    const away = outcomes.filter(({ kind }) => kind === 'gone').map(({ path }) => path);
    await options.keep?.(signal);
    ledger.forget(away);
    gone.push(...away);
    for (const outcome of outcomes) if (outcome.kind === 'left') left.set(outcome.path, outcome);
    after = paths.at(-1) ?? '';
    counted = ledger.count(target);
    report(0);
  }
  return { gone, left: [...left.values()] };
}

function leftAgain(path: string, left: ReadonlyMap<string, LeftFile>): Outcome {
  const known = left.get(path);
  if (known === undefined) throw new TypeError('asked for a file that was not left');
  return { kind: 'left', ...known };
}

/** Puts what is staged in place; the folders are made durable, each once, before the ledger says so. */
function committed(outcomes: readonly Outcome[], target: number): ReadonlyMap<string, number> {
  const there = new Map<string, number>();
  const touched = new Map<string, StagedFile>();
  for (const outcome of outcomes) {
    if (outcome.kind === 'there') there.set(outcome.path, target);
    if (outcome.kind === 'staged' && outcome.staged.commit()) {
      there.set(outcome.path, target);
      touched.set(folderOf(outcome.path), outcome.staged);
    }
  }
  for (const any of touched.values()) any.sync();
  return there;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

async function rewriteOne(
  path: string,
  { files, keyOf, target }: ReencryptionOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    const file = await files.open(path);
    try {
      const message = await messageIn(file.chunks());
      const { header } = message;
      const generation = generationIn(header);
      if (generation === undefined) return { kind: 'gone', path };
      if (generation === target) return { kind: 'there', path };
      const { dataKey: old } = await masterKeyUnwrapper(keyOf).unwrap(header, signal);
      const dataKey = await masterKeyring(target, keyOf).wrap(header.context, signal);
      const staged = await file.stage(sealMessage(overwriting(message.open(old)), header.context, dataKey));
      return { kind: 'staged', path, staged };
    } finally {
      await file.close();
    }
  } catch (error) {
    return outcomeOf(error, path);
  }
}

/** Opens every file with the key of the generation and no other. */
async function checkAll(options: ReencryptionOptions, before: readonly LeftFile[], signal: AbortSignal) {
  const { ledger, target, progress } = options;
  const onlyTarget = masterKeyUnwrapper((generation, sig) => {
    if (generation !== target) throw new TypeError(`a file is checked with generation ${generation}`);
    return options.keyOf(generation, sig);
  });
  const skipped = new Set(before.map(({ path }) => path));
  const gone: string[] = [];
  const older: string[] = [];
  const left: LeftFile[] = [];
  let good = 0;
  let after = '';
  for (;;) {
    signal.throwIfAborted();
    const paths = ledger.files(after, batchFiles);
    if (paths.length === 0) return { good, gone, older, left };
    const wanted = paths.filter((path) => !skipped.has(path));
    const { all: of } = ledger.count(target);
    const outcomes = await inLanes(
      wanted,
      options.concurrency,
      (path) => checkOne(path, options, onlyTarget, signal),
      (ended) => progress({ phase: 'checking', done: Math.min(good + ended, of), of }),
    );
    const at = (kind: Outcome['kind']) =>
      outcomes.filter((each) => each.kind === kind).map(({ path }) => path);
    ledger.forget(at('gone'));
    ledger.lookAgain(at('older'));
    gone.push(...at('gone'));
    older.push(...at('older'));
    signal.throwIfAborted();
    left.push(...outcomes.filter((each) => each.kind === 'left'));
    good += at('there').length;
    after = paths.at(-1) ?? '';
    await options.keep?.(signal);
    progress({ phase: 'checking', done: good, of: ledger.count(target).all });
  }
}

async function checkOne(
  path: string,
  { files, target }: ReencryptionOptions,
  onlyTarget: Unwrapper,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    const file = await files.open(path);
    try {
      const message = await messageIn(file.chunks());
      const generation = generationIn(message.header);
      if (generation === undefined) return { kind: 'gone', path };
      if (generation !== target) return { kind: 'older', path };
      const { dataKey } = await onlyTarget.unwrap(message.header, signal);
      for await (const piece of message.open(dataKey)) piece.fill(0);
      return { kind: 'there', path };
    } finally {
      await file.close();
    }
  } catch (error) {
    return outcomeOf(error, path);
  }
}

function outcomeOf(error: unknown, path: string): Outcome {
  if (error instanceof GatehouseError && error.code === 'FILE_NOT_FOUND') return { kind: 'gone', path };
  // A disk that takes nothing more takes nothing of the other files either.
  if (error instanceof GatehouseError && error.code === 'FILE_SYSTEM_FULL') {
    return { kind: 'stopped', path, error };
  }
  return { kind: 'left', path, error: reportOf(error) };
}

/** The generation that a header names; undefined for a file that is not under the master key. */
function generationIn({ wrappedKeys }: MessageHeader): number | undefined {
  const found = wrappedKeys.find(isUnderMasterKey);
  if (found === undefined) return undefined;
  const generation = generationOf(found);
  if (generation === undefined) throw damaged('name of the master key');
  return generation;
}

async function* overwriting(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece;
    piece.fill(0);
  }
}

/** Runs `work` for each, so many at once, and tells how many have ended; what came of it in the same order. */
async function inLanes(
  paths: readonly string[],
  lanes: number,
  work: (path: string) => Promise<Outcome>,
  progress: (ended: number) => void,
): Promise<Outcome[]> {
  // Without a lane nothing is done, and whoever waits for the files to be done waits for ever.
  if (!(lanes >= 1)) throw new TypeError(`no work is done in ${lanes} lanes`);
  const outcomes: Outcome[] = [];
  const waiting = paths.entries();
  let ended = 0;
  const lane = async (): Promise<void> => {
    for (const [index, path] of waiting) {
      outcomes[index] = await work(path);
      ended += 1;
      progress(ended);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return outcomes;
}
