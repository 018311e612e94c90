import { describe, expect, test } from 'vitest';
import { type Batch, encodeChunk, openBatch } from './batch.ts';
import type { Sink } from './sink.ts';

export interface SinkMaking {
  readonly sink: Sink;
  /** The messages that arrived, in order. */
  readonly messages: () => string[];
}

function batch(text: string): Batch {
  const open = openBatch({ logGroup: '/gatehouse/contract', logStream: 'contract' });
  for (const piece of encodeChunk(Buffer.from(text), Date.now()).pieces) open.add(piece);
  return open.seal();
}

/** What every sink must do. */
export function sinkContract(name: string, make: () => Promise<SinkMaking>): void {
  describe(`${name} as a sink`, () => {
    test('delivers batches in the order in which they are sent', async () => {
      const { sink, messages } = await make();
      const { signal } = new AbortController();

      expect(await sink.send(batch('eins\nzwei "ü" \\n \t 😀\n'), signal)).toEqual([]);
      expect(await sink.send(batch('drei'), signal)).toEqual([]);

      expect(messages()).toEqual(['eins', 'zwei "ü" \\n \t 😀', 'drei']);
    });

    test("throws the signal's reason when it is stopped", async () => {
      const { sink } = await make();
      const reason = new Error('stopped');

      await expect(sink.send(batch('x'), AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
