import { describe, expect, test } from 'vitest';
import { type FileRecord, filePosition, parseFileRecord } from './file-record.ts';

const record: FileRecord = {
  path: '/var/log/app/app.log',
  offset: 4096,
  fingerprint: { headBytes: 1024, head: 'abc', tailBytes: 256, tail: 'def' },
};

describe('a file record', () => {
  test('is read as it was kept', () => {
    expect(parseFileRecord(filePosition('1:2', record).value ?? '')).toEqual(record);
  });

  test('may say when its file was born', () => {
    const born = { ...record, bornMs: 1.5 };

    expect(parseFileRecord(filePosition('1:2', born).value ?? '')).toEqual(born);
  });

  test.each([
    ['a birth that is no time', JSON.stringify({ ...record, bornMs: 0 })],
    ['no JSON', '{'],
    ['no object', '1'],
    ['null', 'null'],
    ['a missing key', JSON.stringify({ ...record, offset: undefined })],
    ['a key of another version', JSON.stringify({ ...record, more: 1 })],
    ['a negative offset', JSON.stringify({ ...record, offset: -1 })],
    ['half a byte', JSON.stringify({ ...record, offset: 0.5 })],
    ['a path that is no text', JSON.stringify({ ...record, path: 1 })],
    ['no fingerprint', JSON.stringify({ ...record, fingerprint: null })],
    ['half a fingerprint', JSON.stringify({ ...record, fingerprint: { head: 'abc', headBytes: 1024 } })],
  ])('with %s is not understood', (_what, value) => {
    expect(parseFileRecord(value)).toBeUndefined();
  });
});
