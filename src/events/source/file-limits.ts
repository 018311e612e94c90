import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { Encoding } from './encodings.ts';

export interface FileSourceOptions {
  readonly name: string;
  /** Globs of absolute paths. */
  readonly files: readonly string[];
  readonly exclude?: readonly string[];
  /** Prefixes outside which nothing is read: `allow.readFrom`. */
  readonly readFrom: readonly string[];
  readonly encoding?: Encoding;
  readonly limits?: Partial<FileSourceLimits>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FileSourceLimits {
  readonly openFilesMax: number;
  /** Files being read, open or not, and entries of folders looked at for one glob. */
  readonly filesMax: number;
  /** How long a last line waits for its end before it is shipped without. */
  readonly partialLineMs: number;
  /** How long a rotated file is kept open after it last grew: its writer may not have noticed. */
  readonly retireAfterMs: number;
  /** How often files are looked at though no change was told. */
  readonly lookEveryMs: number;
  /** How often globs are expanded though no change was told. */
  readonly findEveryMs: number;
  /** Changes told within this time are taken together. */
  readonly gatherMs: number;
  /** Files remembered that are not there: they may have been renamed, or their disk may be away. */
  readonly absentFilesMax: number;
  /** How long they are remembered. */
  readonly forgetAfterMs: number;
}

export const fileSourceLimits: FileSourceLimits = {
  openFilesMax: 256,
  filesMax: 10_000,
  partialLineMs: 5_000,
  retireAfterMs: 30_000,
  lookEveryMs: 5_000,
  findEveryMs: 10_000,
  gatherMs: 20,
  absentFilesMax: 1_000,
  forgetAfterMs: 60 * 60 * 1000,
};
