import { onTestFinished } from 'vitest';
import type { LogEvent } from '../../src/events/../base/log-events.ts';
import type { Chunk, EventSource } from '../../src/events/event-source.ts';
import type { PipelineLimits } from '../../src/events/pipeline/limits.ts';
import type { PipelineSource } from '../../src/events/pipeline/source.ts';
import { type PipelineOptions, pipeline } from '../../src/events/pipeline.ts';
import { memorySink } from '../../src/events/sink/memory.ts';
import { memorySpool } from '../../src/events/spool/memory.ts';
import type { Spool } from '../../src/events/spool.ts';
import { wake } from '../../src/events/wake.ts';
import { fakeClock } from './fake-clock.ts';

/** Streams by file. */
export const streamOf = (file: string | undefined) => ({ logGroup: 'g', logStream: file ?? 's' });

/** A source whose chunks the test gives. */
export function scriptedSource(clock: ReturnType<typeof fakeClock>) {
  const bell = wake();
  const chunks: Chunk[] = [];
  let pulled = 0;
  const source: EventSource = {
    async *chunks(_from, signal) {
      for (;;) {
        for (let next = chunks.shift(); next !== undefined; next = chunks.shift()) {
          pulled += 1;
          yield next;
        }
        if (signal.aborted) return;
        await bell.rung(signal);
      }
    },
    counts: () => ({ lagBytes: 0, items: chunks.length }),
  };
  const give = (
    text: string,
    offset?: number,
    file?: string,
    onDurable?: () => void,
    fields?: readonly string[],
  ): void => {
    chunks.push({
      bytes: Buffer.from(text),
      timeMs: clock.now().getTime(),
      positions: offset === undefined ? [] : [{ item: 'item', value: String(offset) }],
      file,
      ...(onDurable === undefined ? {} : { onDurable }),
      ...(fields === undefined ? {} : { fields }),
    });
    bell.ring();
  };
  return { source, chunks, give, pulled: () => pulled };
}

/** A pipeline with sources whose chunks the test gives, in memory, on a clock that the test moves. */
export function setup(
  options: { limits?: Partial<PipelineLimits>; bytesMax?: number; sources?: number } = {},
) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const log = (event: LogEvent): void => void events.push(event);
  const spool = memorySpool({ bytesMax: options.bytesMax ?? 2 ** 24, clock, log });
  const sink = memorySink();
  const scripted = Array.from({ length: options.sources ?? 1 }, () => scriptedSource(clock));
  const sources = scripted.map(
    ({ source }, index): PipelineSource => ({ name: `s${index}`, source, streamOf }),
  );
  const [first] = scripted;
  if (first === undefined) throw new Error('no source');
  const stop = new AbortController();
  const start = (over: Partial<PipelineOptions> = {}) => {
    const line = pipeline({ sources, spool, sink, clock, log, limits: options.limits ?? {}, ...over });
    const done = line.run(stop.signal);
    done.catch(() => undefined);
    onTestFinished(() => stop.abort());
    return { line, done };
  };
  const said = (name: string) => events.filter((event) => event.name === name);
  return { clock, spool, sink, give: first.give, pulled: first.pulled, scripted, start, stop, said, log };
}

/** A spool that takes no batch before the gate is open. */
export function heldUp(spool: Spool) {
  const gate = Promise.withResolvers<void>();
  const slow: Spool = {
    ...spool,
    async append(...args) {
      await gate.promise;
      return spool.append(...args);
    },
  };
  return { slow, gate };
}
