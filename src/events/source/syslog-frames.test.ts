import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { syslogFrames } from './syslog-frames.ts';

const message = fc
  .string({ unit: fc.constantFrom('<', '3', '4', '>', ' ', 'a', 'ü', '\0'), minLength: 1, maxLength: 30 })
  .map((text) => `<34>${text}`);

test('messages come out as they went in, however they are framed and in whatever pieces they come', () => {
  const framed = fc.record({ text: message, isCounted: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(framed, { maxLength: 8 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 12 })),
      (all, sizes) => {
        const stream = Buffer.concat(
          all.map(({ text, isCounted }) =>
            Buffer.from(isCounted ? `${Buffer.byteLength(text)} ${text}` : `${text}\n`),
          ),
        );
        const frames = syslogFrames(100);
        const messages: string[] = [];
        for (let at = 0; at < stream.length; ) {
          const size = sizes.next().value ?? 1;
          messages.push(...frames.push(stream.subarray(at, at + size)).map(String));
          at += size;
        }
        messages.push(...frames.end().map(String));

        expect(messages).toEqual(all.map(({ text }) => text));
      },
    ),
    { numRuns: 1000 },
  );
});

test('whatever comes, nothing is thrown but that it is too long, and no more is held', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
      const frames = syslogFrames(64);
      let thrown: unknown = new RangeError();
      try {
        for (const piece of pieces) frames.push(Buffer.from(piece)).toArray();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(RangeError);
      expect(frames.end().reduce((sum, each) => sum + each.length, 0)).toBeLessThanOrEqual(64 + 40 + 10);
    }),
  );
});

test('what its sender did not end is a message all the same', () => {
  const frames = syslogFrames(100);

  expect([...frames.push(Buffer.from('<1>one\n<1>tw')), ...frames.end()].map(String)).toEqual([
    '<1>one',
    '<1>tw',
  ]);
});

test.each([
  '2026-11-26T10:00:00 a host that begins with the time',
  '12345678901234567890 is no count, it has too many digits',
  '12x and this is none either',
  '007 nor what begins with nought',
])('a message of its own line may begin with a digit: %s', (text) => {
  const frames = syslogFrames(100);

  expect([...frames.push(Buffer.from(`${text}\n<1>next\n`))].map(String)).toEqual([text, '<1>next']);
});

test('a frame may be as long as is allowed, and what came before a longer one is there', () => {
  const longest = 'x'.repeat(100);

  for (const [stream, isTooLong] of [
    [`<1>one\n${longest}\n`, false],
    [`<1>one\n${longest}x`, true],
    [`<1>one\n100 ${longest}`, false],
    [`<1>one\n101 `, true],
  ] as const) {
    const messages: string[] = [];
    let thrown: unknown;
    try {
      for (const each of syslogFrames(100).push(Buffer.from(stream))) messages.push(String(each));
    } catch (error) {
      thrown = error;
    }
    expect([thrown instanceof RangeError, messages]).toEqual([
      isTooLong,
      isTooLong ? ['<1>one'] : ['<1>one', longest],
    ]);
  }
});

test.each([
  ['an announced length', (text: string) => `${text.length} ${text}`],
  ['a newline', (text: string) => `${text}\n`],
])(
  'a message that comes in very many pieces, with %s, is whole at its end, and the next one too',
  (_name, framed) => {
    const text = `<34>${'x'.repeat(996)}`;
    const frames = syslogFrames(1_000);
    const stream = Buffer.from(framed(text) + framed('<34>next'));

    const messages = Array.from(stream, (_byte, at) => [...frames.push(stream.subarray(at, at + 1))]).flat();

    expect(messages.map(String)).toEqual([text, '<34>next']);
    expect(frames.heldBytes).toBe(0);
  },
);
