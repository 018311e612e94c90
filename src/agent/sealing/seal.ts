import { basename, dirname, resolve } from 'node:path';
import type { Log } from '../../base/log-events.ts';
import { secretNamePattern } from '../../base/secret-name.ts';
import { sealingKeyArn } from '../../keys/binding-key.ts';
import type { KmsFor } from '../../keys/kms.ts';
import { kmsKeyring } from '../../keys/kms-keyring.ts';
import { masterKeyring, masterKeyUnwrapper } from '../../keys/master-keyring.ts';
import { type MasterKeys, masterKeys } from '../../keys/master-keys.ts';
import { type ByteStream, sealMessage } from '../../keys/message-cipher.ts';
import { openStream } from '../../keys/message-sealer.ts';
import { headerBytesMax, parseHeader } from '../../keys/sealed-message.ts';
import type { SealContext } from '../../keys/sealer.ts';
import { secretsError } from '../../secrets/errors.ts';
import { newContext, sealedFileKeys } from '../../secrets/sealed-file.ts';
import { type OpenDirectory, openOutputDirectory } from '../../system/files.ts';
import type { StagedFile } from '../../system/staged-file.ts';
import { kmsOf } from '../aws/kms-of.ts';
import { agentError } from '../errors.ts';
import { bootstrapOf, openHost } from '../host.ts';
import type { Launch } from '../launch.ts';
import { namedUnwrapper } from '../master-key/operator.ts';
import { fingerprintOnRecord, type MasterKeyState, openMasterKeyState } from '../master-key/state.ts';

export interface SealRequest {
  /** The secret's name; the file opens under no other. */
  readonly name: string;
  /** The plaintext, of any length; its pieces are overwritten once they were read. */
  readonly plaintext: ByteStream;
  /** Where the sealed file goes. */
  readonly file: string;
}

export interface SealOptions {
  /** What wraps the data key; without it the master key where there is one, and the KMS key where one is named. */
  readonly wrap: 'master' | 'kms' | undefined;
  /** KMS key: ARN, alias ARN, `alias/NAME` or id. */
  readonly keyId: string | undefined;
  /** Whether only a host of this bootstrap `name` opens it. */
  readonly bindToHost: boolean;
  /** Whether a file that exists is replaced. */
  readonly force: boolean;
}

export interface NewSealedFile {
  readonly name: string;
  readonly file: string;
  /** One more than the highest that this host has seen under the name. */
  readonly version: number;
  /** The KMS key that opens it; absent under the master key. */
  readonly keyArn?: string;
  /** The generation of the master key that opens it. */
  readonly generation?: number;
}

/** Seals secrets, one after the other, with one call to KMS for the master key or one each under KMS. */
export interface Sealing {
  /**
   * Seals a secret into a file of mode 0600, written whole or not at all, in constant memory.
   * @throws SECRET_NAME_INVALID, FILE_EXISTS, KEY_…, MASTER_KEY_…, FILE_…, and what reading the plaintext throws
   */
  seal(request: SealRequest, signal: AbortSignal): Promise<NewSealedFile>;
}

/** What sealing needs of the host it happens on. */
export interface SealingHost {
  readonly kmsFor: KmsFor;
  readonly region: string;
  /** The explicit bootstrap `name`; undefined where there is none. */
  readonly agentName: string | undefined;
  /** Undefined where the host has no master key. */
  readonly master: { readonly state: MasterKeyState; readonly keys: MasterKeys } | undefined;
  readonly log: Log;
}

/**
 * Runs `work` with what seals on this host.
 * @throws SEALING_KEY_MISSING, SECRET_HOST_UNNAMED, KEY_…, CONFIG_…, CREDENTIALS_…
 */
export async function withSealing<T>(
  launch: Launch,
  options: SealOptions,
  work: (sealing: Sealing) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const bootstrap = bootstrapOf(launch);
  const host = openHost(launch, bootstrap);
  const { region, recorder } = host;
  const kmsFor = kmsOf(host);
  const isNamed = bootstrap.origins.get('name') !== 'host name';
  const agentName = isNamed ? bootstrap.config.name : undefined;
  const state = openMasterKeyState(bootstrap.config.stateDirectory, { isMade: false });
  const keys =
    state === undefined || agentName === undefined
      ? undefined
      : masterKeys({
          agentName,
          readWrapped: (generation) => state.readWrapped(generation),
          bindingKey: namedUnwrapper(kmsFor),
          fingerprintOnRecord: (generation) => fingerprintOnRecord(state, generation),
        });
  try {
    const master = state === undefined || keys === undefined ? undefined : { state, keys };
    return await work(
      await sealing({ kmsFor, region, agentName, master, log: recorder.log }, options, signal),
    );
  } finally {
    keys?.close();
    state?.close();
    host.aws.close();
  }
}

/** What seals on a host that is open. The key is looked at here, before any plaintext is read. */
export async function sealing(
  host: SealingHost,
  options: SealOptions,
  signal: AbortSignal,
): Promise<Sealing> {
  const { agentName, master } = host;
  const { keyId, bindToHost, force } = options;
  if (bindToHost && agentName === undefined) throw secretsError('SECRET_HOST_UNNAMED');
  const boundTo = bindToHost ? agentName : undefined;
  const wrap = options.wrap ?? (keyId === undefined ? 'master' : 'kms');

  if (wrap === 'master') {
    if (master?.state.ledger.sealing() === undefined) throw agentError('SEALING_KEY_MISSING');
    return inFolder(boundTo, (folder, file, sig) => underMasterKey(master, folder, file, force, sig));
  }
  if (keyId === undefined) throw agentError('SEALING_KEY_MISSING');
  const keyArn = await sealingKeyArn({ ...host, keyId }, signal);
  const keyring = kmsKeyring({ keyArn, kmsFor: host.kmsFor });
  return inFolder(boundTo, async (folder, { name, plaintext, base, versionIn }, sig) => {
    const version =
      1 + Math.max(await versionThere(folder, base, name), versionOnRecord(master?.state, name));
    const context = versionIn(version);
    const staged = await stage(
      folder,
      base,
      sealMessage(plaintext, context, await keyring.wrap(context, sig)),
    );
    try {
      staged.commit(force ? undefined : 'nothing');
      staged.sync();
    } finally {
      staged.discard();
    }
    master?.state.ledger.met(new Map([[name, version]]), new Map());
    return { version, keyArn };
  });
}

/** A file that is being sealed, in a folder that is open. */
interface FileToSeal {
  readonly name: string;
  readonly plaintext: ByteStream;
  readonly base: string;
  readonly path: string;
  readonly versionIn: (version: number) => SealContext;
}

type SealInto = (
  folder: OpenDirectory,
  file: FileToSeal,
  signal: AbortSignal,
) => Promise<Pick<NewSealedFile, 'version' | 'keyArn' | 'generation'>>;

function inFolder(boundTo: string | undefined, sealInto: SealInto): Sealing {
  return {
    async seal({ name, plaintext, file }, signal) {
      if (!secretNamePattern.test(name)) throw secretsError('SECRET_NAME_INVALID', { name });
      const absolute = resolve(file);
      const folder = await openOutputDirectory(dirname(absolute));
      try {
        const base = basename(absolute);
        const path = `${folder.path}/${base}`;
        const versionIn = (version: number) => newContext(name, version, boundTo);
        const made = { name, plaintext: overwriting(plaintext), base, path, versionIn };
        return { name, file, ...(await sealInto(folder, made, signal)) };
      } finally {
        await folder.close();
      }
    },
  };
}

/**
 * Seals under the generation that seals now. Where a change of the master key begins meanwhile, what was sealed is
 * sealed again under the new one: a file that appeared under the old one could be missed.
 */
async function underMasterKey(
  { state, keys }: NonNullable<SealingHost['master']>,
  folder: OpenDirectory,
  { name, plaintext, base, path, versionIn }: FileToSeal,
  force: boolean,
  signal: AbortSignal,
) {
  const { ledger } = state;
  const { keyOf } = keys;
  const version = 1 + Math.max(await versionThere(folder, base, name), versionOnRecord(state, name));
  const context = versionIn(version);
  const stageUnder = async (generation: number, bytes: ByteStream) =>
    stage(
      folder,
      base,
      sealMessage(bytes, context, await masterKeyring(generation, keyOf).wrap(context, signal)),
    );

  let generation = ledger.sealing() ?? 0;
  let staged = await stageUnder(generation, plaintext);
  try {
    ledger.expect(path);
    const commit = (): void => {
      staged.commit(force ? undefined : 'nothing');
      staged.sync();
    };
    while (!ledger.sealed(path, generation, { name, version }, commit)) {
      generation = ledger.sealing() ?? 0;
      const before = staged;
      const opening = openStream(before.chunks(), () => undefined, masterKeyUnwrapper(keyOf), signal);
      staged = await stageUnder(generation, overwriting(opening.pieces));
      before.discard();
    }
    return { version, generation };
  } finally {
    staged.discard();
  }
}

function stage(folder: OpenDirectory, base: string, bytes: AsyncIterable<Uint8Array>): Promise<StagedFile> {
  return folder.stage(base, bytes, { prefix: '.gatehouse-seal-', mode: 0o600 });
}

function versionOnRecord(state: MasterKeyState | undefined, name: string): number {
  const { version = 0, loweredFrom = 0 } = state?.ledger.seen(name) ?? {};
  return Math.max(version, loweredFrom);
}

/** The version that a file to be replaced claims for the same name: a claim is enough to count on from. */
async function versionThere(folder: OpenDirectory, base: string, name: string): Promise<number> {
  try {
    const file = await folder.openFile(base);
    try {
      for await (const chunk of file.chunks()) {
        const { context } = parseHeader(chunk.subarray(0, headerBytesMax));
        const version = Number(context[sealedFileKeys.version]);
        return context[sealedFileKeys.name] === name && Number.isSafeInteger(version) ? version : 0;
      }
      return 0;
    } finally {
      await file.close();
    }
  } catch {
    // None, or none of ours.
    return 0;
  }
}

async function* overwriting(pieces: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece;
    piece.fill(0);
  }
}
