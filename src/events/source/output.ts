import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';
import type { Chunk, EventSource } from '../event-source.ts';
import { lineChunks } from './line-chunks.ts';
import { lineCutter } from './line-cutter.ts';
import { textFormat } from './text-format.ts';

export const outputStreams = ['stdout', 'stderr'] as const;
export type OutputStream = (typeof outputStreams)[number];

export interface OutputSourceOptions {
  readonly clock: Clock;
  /** Told how many bytes were taken: whoever hands them in waits for that. */
  readonly onTaken: (bytes: number) => void;
}

/** The output of the workload, as the process that has its pipes hands it in. */
export interface OutputSource extends EventSource {
  /** Undefined: it is at its end. */
  push(stream: OutputStream, bytes: Buffer | undefined): void;
}

/**
 * Lines of standard output and of standard error, each by itself: `{file}` is `stdout` or `stderr`. What was handed in
 * before a stop is still handed on. Guarantee on kill: what was read and is not in the spool yet is lost, and so is what
 * waits in the pipes.
 */
export function outputSource({ clock, onTaken }: OutputSourceOptions): OutputSource {
  const inputs = { stdout: handedIn('stdout'), stderr: handedIn('stderr') };

  function handedIn(name: OutputStream) {
    const pieces: (Buffer | null)[] = [];
    let isWanted = false;
    let isOver = false;
    const stream = new Readable({
      read() {
        isWanted = true;
        give();
      },
    });

    function give(): void {
      while (isWanted && pieces.length > 0) {
        const piece = pieces.shift() ?? null;
        isWanted = stream.push(piece);
        if (piece !== null) onTaken(piece.length);
      }
    }

    return {
      name,
      stream,
      push(piece: Buffer | null): void {
        if (isOver) return;
        isOver = piece === null;
        pieces.push(piece);
        give();
      },
    };
  }

  async function* linesOf({ name, stream }: ReturnType<typeof handedIn>): AsyncGenerator<Chunk> {
    const { format } = textFormat('utf-8', Buffer.alloc(0));
    const cutter = lineCutter(format, () => randomBytes(4).toString('hex'));
    yield* lineChunks({ stream, cutter, file: name, clock }, new AbortController().signal);
  }

  function end(): void {
    for (const name of outputStreams) inputs[name].push(null);
  }

  return {
    push: (stream, bytes) => inputs[stream].push(bytes ?? null),

    async *chunks(_from, signal) {
      if (signal.aborted) end();
      signal.addEventListener('abort', end, { once: true });
      try {
        yield* merged(outputStreams.map((name) => linesOf(inputs[name])));
      } finally {
        signal.removeEventListener('abort', end);
      }
    },

    counts: () => ({ lagBytes: 0, items: outputStreams.length }),
  };
}

/** What several give, as it comes; each waits until what it gave last was taken. */
async function* merged<T>(all: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const pulled = (each: AsyncGenerator<T>) => each.next().then((result) => ({ each, result }));
  const pending = new Map(all.map((each) => [each, pulled(each)]));
  while (pending.size > 0) {
    const { each, result } = await Promise.race(pending.values());
    if (result.done === true) {
      pending.delete(each);
      continue;
    }
    yield result.value;
    pending.set(each, pulled(each));
  }
}
