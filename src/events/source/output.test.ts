import { array, assert, asyncProperty, constantFrom, uint8Array } from 'fast-check';
import { expect, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { outputSource, outputStreams } from './output.ts';

function setup() {
  const clock = fakeClock();
  let taken = 0;
  const source = outputSource({ clock, onTaken: (bytes) => (taken += bytes) });
  return { clock, source, taken: () => taken };
}

eventSourceContract('outputSource', () => {
  const { clock, source } = setup();
  return {
    source,
    clock,
    async write(lines) {
      for (const line of lines) source.push('stdout', Buffer.from(`${line}\n`));
    },
  };
});

test('each of the two streams has lines of its own', async () => {
  const { source, taken } = setup();
  const read = reading(source);

  source.push('stdout', Buffer.from('out '));
  source.push('stderr', Buffer.from('err '));
  source.push('stdout', Buffer.from('put\n'));
  source.push('stderr', Buffer.from('or\n'));
  await vi.waitFor(() => expect(read.messages).toHaveLength(2), patient);

  expect(new Set(read.messages)).toEqual(new Set(['out put', 'err or']));
  expect(taken()).toBe(15);
});

test('a last line without an end goes out after a while, and at the end', async () => {
  const { clock, source } = setup();
  const read = reading(source);

  source.push('stdout', Buffer.from('waits'));
  await clock.advance(5_000);
  const early = [...read.messages];
  source.push('stderr', Buffer.from('ends'));
  source.push('stderr', undefined);
  await vi.waitFor(() => expect(read.messages).toHaveLength(2), patient);

  expect(early).toEqual(['waits']);
  expect(read.messages).toEqual(['waits', 'ends']);
});

test('what was handed in before a stop is handed on, whole', async () => {
  const { source } = setup();
  const read = reading(source);
  const lines = Array.from({ length: 5_000 }, (_line, index) => `line ${index}`);

  for (const line of lines) source.push('stdout', Buffer.from(`${line}\n`));
  await read.stop();

  expect(read.messages).toEqual(lines);
});

test('a reader that waits makes whoever hands in wait', async () => {
  const { source, taken } = setup();
  const chunks = source.chunks(new Map(), new AbortController().signal)[Symbol.asyncIterator]();
  for (let piece = 0; piece < 100; piece += 1) source.push('stdout', Buffer.alloc(65_536, 'x\n'));

  await chunks.next();

  expect(taken()).toBeLessThan(10 * 65_536);
});

test('no bytes are lost, however they are cut', async () => {
  const piece = uint8Array({ maxLength: 40 }).map((bytes) =>
    Buffer.from(bytes.map((byte) => (byte < 60 ? 10 : byte))),
  );
  await assert(
    asyncProperty(array(piece), constantFrom(...outputStreams), async (pieces, stream) => {
      const { source } = setup();
      for (const each of pieces) source.push(stream, each);
      for (const each of outputStreams) source.push(each, undefined);
      const parts: Buffer[] = [];
      for await (const { bytes, file } of source.chunks(new Map(), new AbortController().signal)) {
        expect(file).toBe(stream);
        parts.push(Buffer.from(bytes));
      }

      expect(Buffer.concat(parts)).toEqual(Buffer.concat(pieces));
    }),
    { numRuns: 50 },
  );
});
