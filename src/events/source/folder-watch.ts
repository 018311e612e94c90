import { type FSWatcher, watch } from 'node:fs';
import { errnoOf } from './open-log-file.ts';

/** Rings when something changes in folders. Only a hint: the kernel drops changes when there are too many. */
export interface FolderWatch {
  /** Watches these, and no longer any other. */
  follow(folders: ReadonlySet<string>): void;
  close(): void;
}

/** Folders watched by one source; what lies in others is only looked at from time to time. */
const foldersMax = 256;

export interface FolderWatching {
  /** A file in a watched folder changed. */
  readonly onChange: () => void;
  /** A name came, went or moved. */
  readonly onNames: () => void;
  readonly onFailed: (folder: string, reason: string) => void;
}

export function folderWatch({ onChange, onNames, onFailed }: FolderWatching): FolderWatch {
  const watchers = new Map<string, FSWatcher>();
  const failed = new Set<string>();

  function start(folder: string): void {
    try {
      const watcher = watch(folder, (kind) => (kind === 'rename' ? onNames() : onChange()));
      watcher.on('error', (error) => fail(folder, error));
      watchers.set(folder, watcher);
      failed.delete(folder);
    } catch (error) {
      fail(folder, error);
    }
  }

  function fail(folder: string, error: unknown): void {
    stop(folder);
    if (failed.has(folder)) return;
    failed.add(folder);
    onFailed(folder, errnoOf(error));
  }

  function stop(folder: string): void {
    watchers.get(folder)?.close();
    watchers.delete(folder);
  }

  return {
    follow(folders) {
      for (const folder of watchers.keys()) if (!folders.has(folder)) stop(folder);
      for (const folder of failed) if (!folders.has(folder)) failed.delete(folder);
      for (const folder of folders) {
        if (!watchers.has(folder) && watchers.size < foldersMax) start(folder);
      }
    },
    close() {
      for (const folder of watchers.keys()) stop(folder);
    },
  };
}
