import { basename, dirname } from 'node:path';
import type { SealedFiles } from '../../keys/reencryption.ts';
import { type OpenDirectory, openDirectory } from '../../system/files.ts';

/** What the replacement of a sealed file is called before it has its name. */
const prefix = '.gatehouse-reencrypt-';

/** The sealed files on this host's disks. Folders stay open until `close`: most hosts have one. */
export function sealedFiles(): SealedFiles & { close(): Promise<void> } {
  const folders = new Map<string, Promise<OpenDirectory>>();
  const folderOf = (path: string): Promise<OpenDirectory> => {
    const folder = dirname(path);
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const opening = openDirectory(folder);
    folders.set(folder, opening);
    opening.catch(() => folders.delete(folder));
    return opening;
  };

  return {
    async open(path) {
      const folder = await folderOf(path);
      const file = await folder.openFile(basename(path));
      const { uid, gid, mode, identity } = file;
      return {
        chunks: () => file.chunks(),
        async stage(sealed) {
          const staged = await folder.stage(basename(path), sealed, { prefix, uid, gid, mode });
          return {
            commit: () => staged.commit({ of: identity }),
            sync: () => staged.sync(),
            discard: () => staged.discard(),
          };
        },
        close: () => file.close(),
      };
    },

    sweep: async (path) => (await folderOf(path)).sweep(prefix),

    async close() {
      const opened = [...folders.values()];
      folders.clear();
      await Promise.all(opened.map(async (folder) => (await folder).close()));
    },
  };
}
