import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { EntryTooLong, journalExport } from './journal-export.ts';

const name = fc.string({ unit: fc.constantFrom('A', 'B', '_'), minLength: 1, maxLength: 5 });
const value = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.string().map((text) => new Uint8Array(Buffer.from(text))),
);
const entry = fc.uniqueArray(fc.tuple(name, value), {
  selector: ([each]) => each,
  minLength: 1,
  maxLength: 5,
});

/** As journalctl writes it: text as text, what has a newline or is no text as binary. */
function exported(fields: readonly (readonly [string, Uint8Array])[]): Buffer {
  const parts = fields.map(([field, bytes]) => {
    const text = Buffer.from(bytes);
    if (!text.includes(0x0a)) return Buffer.concat([Buffer.from(`${field}=`), text, Buffer.from('\n')]);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([Buffer.from(`${field}\n`), length, text, Buffer.from('\n')]);
  });
  return Buffer.concat([...parts, Buffer.from('\n')]);
}

test('entries come out as they went in, binary fields included, in whatever pieces they come', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 6 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
      (entries, sizes) => {
        const stream = Buffer.concat(entries.map(exported));
        const parser = journalExport(10_000);
        const read: (readonly (readonly [string, string])[])[] = [];
        for (let at = 0; at < stream.length; ) {
          const size = sizes.next().value ?? 1;
          for (const each of parser.push(stream.subarray(at, at + size))) {
            read.push([...each].map(([field, bytes]) => [field, bytes.toString('latin1')]));
          }
          at += size;
        }

        expect(read).toEqual(
          entries.map((fields) =>
            fields.map(([field, bytes]) => [field, Buffer.from(bytes).toString('latin1')]),
          ),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('an entry that is too long is told with its cursor', () => {
  const parser = journalExport(100);

  expect(() => [...parser.push(Buffer.from(`__CURSOR=s=1;i=2\nMESSAGE=${'x'.repeat(200)}`))]).toThrow(
    expect.objectContaining({ cursor: 's=1;i=2' }),
  );
});

test('whatever comes, nothing is thrown but that it is no entry', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
      const parser = journalExport(200);
      let thrown: unknown = new RangeError();
      try {
        for (const piece of pieces) Array.from(parser.push(Buffer.from(piece)));
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(RangeError);
    }),
  );
  expect(new EntryTooLong(undefined)).toBeInstanceOf(RangeError);
});

test('a binary field that does not end where its length says is no entry', () => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(1n);
  const of = (text: string) => Buffer.concat([Buffer.from('MESSAGE\n'), length, Buffer.from(text)]);

  expect([...journalExport(100).push(of('a\n\n'))]).toEqual([new Map([['MESSAGE', Buffer.from('a')]])]);
  expect(() => [...journalExport(100).push(of('ab\n\n'))]).toThrow(RangeError);
});

test('values of one field are joined', () => {
  const [read] = journalExport(100).push(Buffer.from('A=1\nA=2\n\n'));

  expect(read?.get('A')?.toString()).toBe('1\n2');
});

test('and before it came, where it says how long it is; those before it are taken', () => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(200n);
  const before = Buffer.from('__CURSOR=s=1;i=1\nMESSAGE=short\n\n');
  const long = Buffer.concat([Buffer.from('__CURSOR=s=1;i=2\nMESSAGE\n'), length]);

  const read = journalExport(100).push(Buffer.concat([before, long]));

  expect(read.next().value).toEqual(
    new Map([
      ['__CURSOR', Buffer.from('s=1;i=1')],
      ['MESSAGE', Buffer.from('short')],
    ]),
  );
  expect(() => read.next()).toThrow(expect.objectContaining({ cursor: 's=1;i=2' }));
});

test('the bound is that of one entry, however many come at once', () => {
  const whole = `__CURSOR=s=1\nMESSAGE=${'x'.repeat(50)}\n\n`;
  const begun = `__CURSOR=s=2\n${'x'.repeat(87)}`;
  const parser = journalExport(begun.length);

  expect([...parser.push(Buffer.from(whole.repeat(10) + begun))]).toHaveLength(10);
  expect(() => [...parser.push(Buffer.from('x'))]).toThrow(expect.objectContaining({ cursor: 's=2' }));
});

test('a binary field that would be too long is told of when its length is known, before it is there', () => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(1_000n);
  const parser = journalExport(500);

  expect(() => [...parser.push(Buffer.concat([Buffer.from('__CURSOR=s=1\nMESSAGE\n'), length]))]).toThrow(
    expect.objectContaining({ cursor: 's=1' }),
  );
});
