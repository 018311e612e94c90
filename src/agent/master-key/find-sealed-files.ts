import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isUnderMasterKey } from '../../keys/master-keyring.ts';
import { messageIn } from '../../keys/message-cipher.ts';
import { failed } from '../../system/walk.ts';
import { sealedFiles } from './sealed-files.ts';

/**
 * The files among these, and directly in these folders, that are sealed under a master key. A file that is named must be
 * one; in a folder others are passed over.
 * @throws FILE_…, SEALED_…
 */
export async function findSealedFiles(places: readonly string[]): Promise<string[]> {
  const files = sealedFiles();
  const isSealed = async (path: string): Promise<boolean> => {
    const file = await files.open(path);
    try {
      const message = await messageIn(file.chunks());
      await message.close();
      return message.header.wrappedKeys.some(isUnderMasterKey);
    } finally {
      await file.close();
    }
  };

  try {
    const found: string[] = [];
    for (const place of places) {
      const path = await realpath(place).catch((error: unknown) => {
        throw failed(error, place);
      });
      if (!(await stat(path)).isDirectory()) {
        if (await isSealed(path)) found.push(path);
        continue;
      }
      for (const entry of await readdir(path, { withFileTypes: true })) {
        const inside = join(path, entry.name);
        if (entry.isFile() && (await isSealed(inside).catch(() => false))) found.push(inside);
      }
    }
    return found;
  } finally {
    await files.close();
  }
}
