import type { Log } from '../../base/log-events.ts';
import { eventsEvent } from '../log-events.ts';

/** Paths that are not read, each said once for each reason. */
export interface RefusedPaths {
  say(path: string, reason: string): void;
  /** It is read now. */
  delete(path: string): void;
  /** Forgets paths that are no longer there. */
  keepOnly(paths: ReadonlySet<string>): void;
}

/** Beyond so many at a time none is named: whoever may write beside the logs can plant any number. */
const refusedPathsMax = 1_000;

export function refusedPaths(source: string, log: Log): RefusedPaths {
  const reasons = new Map<string, string>();
  let isSilent = false;

  return {
    say(path, reason) {
      // Gone again since it was found: nothing to be said.
      if (reason === 'ENOENT' || reasons.get(path) === reason) return;
      if (reasons.size >= refusedPathsMax && !reasons.has(path)) {
        if (!isSilent) log(eventsEvent('events.refusals-unsaid', { source, paths: reasons.size }));
        isSilent = true;
        return;
      }
      reasons.set(path, reason);
      log(eventsEvent('events.file-refused', { source, path, reason }));
    },

    delete: (path) => void reasons.delete(path),

    keepOnly(paths) {
      for (const path of reasons.keys()) if (!paths.has(path)) reasons.delete(path);
      if (reasons.size < refusedPathsMax) isSilent = false;
    },
  };
}
