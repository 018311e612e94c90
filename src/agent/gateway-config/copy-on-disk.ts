import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/errno.ts';
import { type Answer, answerIn, copyFile, messageIn, type Question } from '../../config/last-known-good.ts';
import { keyNamedIn } from '../../keys/kept-keyring.ts';
import type { KeyName } from '../../keys/keyring.ts';
import { parseSealedMessage } from '../../keys/sealed-message.ts';
import { systemError } from '../../system/errors.ts';
import { contentIn, type OpenDirectory, openDirectory, removeFileDurably } from '../../system/files.ts';

/** Name of the copy in the state directory. */
export const copyName = 'last-known-good';

/** A secret has 64 KiB at most; what a message adds to it is less than that again. */
const copyBytesMax = 192 * 1024;

/** What can be told of a copy without any key: claims, until it was opened. */
export interface CopyClaims extends Answer {
  /** Undefined where it is under nothing that we write. */
  readonly sealedUnder: KeyName | undefined;
}

export interface FoundCopy {
  readonly message: Buffer;
  readonly claims: CopyClaims;
}

/** The sealed copy of the gateway config in the state directory. */
export interface CopyOnDisk {
  readonly path: string;
  isThere(): boolean;
  /**
   * Whole as it was written, and of this question; undefined where there is none.
   * @throws GATEWAY_CONFIG_COPY_DAMAGED, GATEWAY_CONFIG_COPY_FOREIGN, SEALED_…, FILE_…
   */
  read(): Promise<FoundCopy | undefined>;
  /** Durable when it resolves; whole or not at all. @throws FILE_… */
  write(message: Uint8Array): Promise<void>;
  /** Durable when it resolves. False where there was none. @throws FILE_… */
  remove(): Promise<boolean>;
  /** Gives it another name, under which it is evidence and nothing more; where it is then. @throws FILE_… */
  setAside(): Promise<string>;
  /** Removes what an interrupted write left behind. */
  removeStale(): Promise<void>;
}

export function copyOnDisk(stateDirectory: string, question: Question): CopyOnDisk {
  const path = join(stateDirectory, copyName);
  const inFolder = async <T>(work: (folder: OpenDirectory) => Promise<T>): Promise<T> => {
    const folder = await openDirectory(stateDirectory);
    try {
      return await work(folder);
    } finally {
      await folder.close();
    }
  };

  return {
    path,
    isThere: () => existsSync(path),

    async read() {
      const content = await inFolder((folder) => contentIn(folder, copyName, copyBytesMax));
      if (content === undefined) return undefined;
      const message = messageIn(content.bytes);
      const sealed = parseSealedMessage(message);
      const answer = answerIn(sealed.context, question);
      return { message, claims: { ...answer, sealedUnder: keyNamedIn(sealed) } };
    },

    write: (message) =>
      inFolder(async (folder) => {
        await folder.replace(copyName, copyFile(message), { mode: 0o600 });
      }),

    remove: () => removeFileDurably(path),

    async setAside() {
      const aside = `${path}.refused`;
      await rename(path, aside).catch((error: unknown) => {
        throw systemError('FILE_FAILED', { path, errno: errnoOf(error) }, error);
      });
      return aside;
    },

    removeStale: () => inFolder((folder) => folder.removeStale(copyName)),
  };
}

/** The name of a key as log and status give it. */
export function keyText(key: KeyName | undefined): string {
  if (key === undefined) return 'unknown';
  return 'keyArn' in key ? key.keyArn : `master key, generation ${key.generation}`;
}
