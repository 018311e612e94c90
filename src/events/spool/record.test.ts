import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryStorage } from '../../../test/support/memory-storage.ts';
import { bodyCheck, headBytes, recordKind, sealBytes, writeHead } from './record.ts';
import { scanSegment, tailOf } from './segment-scan.ts';

const sectorBytes = 512;

describe('the check of a sealed body', () => {
  test('misses no sector that a crash left unwritten, wherever the body begins in its own', () => {
    const bodies = fc.record({
      length: fc.integer({ min: 1, max: 6000 }),
      begin: fc.nat(sectorBytes - 1),
      lost: fc.nat(11),
      before: fc.constantFrom('nothing', 'other bytes'),
    });

    fc.assert(
      fc.property(bodies, ({ length, begin, lost, before }) => {
        const body = randomBytes(length);
        const torn = Buffer.from(body);
        const from = Math.max(0, lost * sectorBytes - begin);
        const to = Math.min(length, (lost + 1) * sectorBytes - begin);
        fc.pre(from < to);
        const old = before === 'nothing' ? Buffer.alloc(to - from) : randomBytes(to - from);
        old.copy(torn, from);
        fc.pre(!torn.equals(body));

        // One in four thousand million is not seen.
        expect(bodyCheck(torn, true)).not.toBe(bodyCheck(body, true));
      }),
      { numRuns: 2000 },
    );
  });

  test('is of its length too', () => {
    const body = Buffer.alloc(600);

    expect(bodyCheck(body.subarray(0, 599), true)).not.toBe(bodyCheck(body, true));
  });
});

test('a sealed body with the checksum of every byte, as it was once, is whole at the end of a segment', async () => {
  const body = randomBytes(2000);
  const sealed = { keyId: 'ab'.repeat(8), seal: randomBytes(sealBytes) };
  const head = {
    kind: recordKind.batch,
    segment: 1,
    sequence: 1,
    durable: 0,
    sealed,
    bodyBytes: body.length,
  };
  const tailWith = async (check: number) => {
    const bytes = Buffer.alloc(headBytes + 2 + body.length);
    body.copy(bytes, writeHead(bytes, 0, { ...head, bodyCheck: check }, Buffer.from('{}')));
    const file = await memoryStorage().create('1');
    await file.write(bytes, 0);
    return (await tailOf(file, await scanSegment(file, 1, bytes.length), bytes.length)).records.length;
  };

  expect(await tailWith(crc32(body))).toBe(1);
  expect(await tailWith(bodyCheck(body, true))).toBe(1);
  expect(await tailWith(1)).toBe(0);
});

test('the check of a body in clear is of every byte', () => {
  const body = Buffer.from('a line of a log '.repeat(100));

  for (let at = 0; at < body.length; at += 1) {
    const changed = Buffer.from(body);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(bodyCheck(changed, false)).not.toBe(bodyCheck(body, false));
  }
});
