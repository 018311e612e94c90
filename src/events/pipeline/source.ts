import type { StreamName } from '../batch.ts';
import type { EventSource } from '../event-source.ts';

/** A source, and what the pipeline has to know of it. */
export interface PipelineSource {
  readonly name: string;
  readonly source: EventSource;
  /** What was read is still there after a crash, and is read again from its position: files, journals. */
  readonly canBeReadAgain?: boolean;
  /** Nothing of it is dropped, whatever `whenFull` says: audit. */
  readonly isSpared?: boolean;
  /**
   * Where a chunk goes; `file` and `fields` are the chunk's. The same file always goes to the same stream, unless
   * `isSpread`.
   */
  streamOf(file: string | undefined, fields?: readonly string[]): StreamName;
  /** Some of its events may be in the embedded metric format. */
  readonly embeddedMetrics?: boolean;
  /** Lines of one file go to several streams. */
  readonly isSpread?: boolean;
}
