import type { Log } from '../base/log-events.ts';
import type { Batch, StreamName } from './batch.ts';
import { brim } from './brim.ts';
import type { PipelineSource } from './pipeline/source.ts';
import type { Spool, SpoolCounts } from './spool.ts';
import { wake } from './wake.ts';

/** Keeps a part of the spool for what can be sent, where what is sent under another role cannot. */
export interface FailingShare {
  /** Resolves when there is room for a batch of its role; at once where that role's events are taken. */
  room(batch: Batch, signal: AbortSignal): Promise<void>;
  /** Whether batches of the stream may have to wait for room, each by itself. */
  isBounding(stream: StreamName): boolean;
  /** Whether a batch waits for room. */
  readonly isWaitedFor: boolean;
  /** Something left the spool: whoever waits looks again. */
  look(): void;
}

export interface FailingShareOptions {
  readonly sources: readonly PipelineSource[];
  readonly spool: Pick<Spool, 'sizeOf'> & { counts(): Pick<SpoolCounts, 'bytes' | 'bytesMax'> };
  readonly fillBytesMax?: number | undefined;
  readonly isFailing: (roleOf: string | undefined) => boolean;
  readonly log: Log;
}

/** The part of the spool that a role which fails may fill, with all others together. */
const failingPart = 7 / 8;

/** Where all sources are sent under one role there is nobody to keep a part for. */
export function failingShare(options: FailingShareOptions): FailingShare {
  const { sources, spool, isFailing, log } = options;
  const bytesMax = Math.floor((options.fillBytesMax ?? spool.counts().bytesMax) * failingPart);
  const isShared = new Set(sources.map((each) => each.streamOf(undefined).roleOf)).size > 1;
  const waiting = new Set<ReturnType<typeof wake>>();
  const saying = brim(bytesMax, log);

  const isBounding = ({ roleOf }: StreamName): boolean => isShared && isFailing(roleOf);

  return {
    isBounding,

    async room(batch, signal) {
      const mustWait = (): boolean => {
        const { bytes } = spool.counts();
        return isBounding(batch.stream) && bytes > 0 && bytes + spool.sizeOf(batch) > bytesMax;
      };
      if (!mustWait()) return;
      const bell = wake();
      saying.full(spool.counts().bytes);
      waiting.add(bell);
      try {
        while (mustWait()) {
          await bell.rung(signal);
          signal.throwIfAborted();
        }
      } finally {
        waiting.delete(bell);
      }
    },

    get isWaitedFor() {
      return waiting.size > 0;
    },

    look() {
      for (const bell of waiting) bell.ring();
      saying.left(spool.counts().bytes);
    },
  };
}
