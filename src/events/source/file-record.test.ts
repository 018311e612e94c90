import { describe, expect, test } from 'vitest';
import { type FileRecord, fileItem, filePosition, inodeOf, parseFileRecord } from './file-record.ts';

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

  test('may be that of a compressed file, at its start, in a long line, of one that started over', () => {
    const full = {
      ...record,
      offset: 0,
      bornMs: 1.5,
      writtenMs: 2.5,
      archive: { isDone: false },
      longLine: { start: 0, parts: 2 },
      restarts: 1,
    };

    expect(parseFileRecord(filePosition('1:2', full).value ?? '')).toEqual(full);
  });

  test.each([
    ['writtenMs', 'yesterday'],
    ['bornMs', '1'],
    ['archive', true],
    ['archive', {}],
    ['archive', { isDone: 1 }],
    ['archive', { isDone: true, more: 1 }],
    ['longLine', 1],
    ['longLine', { start: 0 }],
    ['longLine', { start: -1, parts: 1 }],
    ['longLine', { start: 0, parts: 0.5 }],
    ['longLine', { start: 0, parts: 1, more: 1 }],
    ['restarts', -1],
    ['offset', '1'],
    ['fingerprint', { ...record.fingerprint, head: 1 }],
    ['fingerprint', { ...record.fingerprint, headBytes: '1' }],
    ['fingerprint', { ...record.fingerprint, tail: 1 }],
    ['fingerprint', { ...record.fingerprint, tailBytes: -1 }],
    ['fingerprint', { ...record.fingerprint, more: 1 }],
  ])('whose %s is %j is not understood', (key, value) => {
    expect(parseFileRecord(JSON.stringify({ ...record, [key]: value }))).toBeUndefined();
  });

  test('knows the inode of its item', () => {
    expect(inodeOf(fileItem({ dev: 66_305, ino: 1_234 }))).toBe(1_234);
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
