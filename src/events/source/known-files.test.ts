import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { bornMsOf, type FileRecord, fileItem } from './file-record.ts';
import { newFingerprint } from './fingerprint.ts';
import { knownFiles } from './known-files.ts';
import { lookItem } from './last-look.ts';
import type { OpenLogFile } from './open-log-file.ts';

const nothing = new Map<string, unknown>();
const short = 'backup finished: OK\n';
const long = short.repeat(100);

function setup(text: string, name = 'app.log') {
  const directory = temporaryDirectory();
  const path = join(directory, name);
  writeFileSync(path, text);
  const stat = statSync(path);
  const opened: OpenLogFile = { handle: openSync(path, 'r'), stat };
  onTestFinished(() => closeSync(opened.handle));
  const state = newFingerprint();
  state.advance(Buffer.from(text));
  const bornMs = bornMsOf(stat);
  const { bornMs: _, ...unborn } = { path, offset: text.length, bornMs, fingerprint: state.fingerprint() };
  const record = (changed: Partial<FileRecord> = {}): FileRecord => ({
    ...unborn,
    ...(bornMs === undefined ? {} : { bornMs }),
    ...changed,
  });
  const clock = fakeClock();
  const known = (records: Readonly<Record<string, FileRecord>>, absentFilesMax = 10) => {
    const positions = Object.entries(records).map(([item, value]) => [item, JSON.stringify(value)] as const);
    const files = knownFiles(new Map(positions), { absentFilesMax, forgetAfterMs: 1_000 }, clock);
    files.newlyAbsent(nothing);
    return files;
  };
  const { ino } = stat;
  return { directory, path, opened, item: fileItem(stat), ino, record, unborn, clock, known };
}

describe('a file is known', () => {
  test.each([
    ['by device, inode and birth', short, (at: string) => at, {}, true],
    ['by inode and birth, whatever the device', short, (at: string) => at.replace(/^\d+/u, '1'), {}, true],
    ['not when it was born at another time', long, (at: string) => at, { bornMs: 1 }, false],
    ['not under another inode, by content alone', long, (at: string) => `${at}0`, {}, false],
    ['not when it is shorter than what was read', short, (at: string) => at, { offset: 1_000 }, false],
  ] as const)('%s', (_what, text, itemOf, changed, isKnown) => {
    const { path, opened, item, record, known } = setup(text);

    const taken = known({ [itemOf(item)]: record(changed) }).take(path, opened);

    expect(taken !== undefined).toBe(isKnown);
  });

  test('on another device without a birth only where its head has full length', () => {
    for (const [text, isKnown] of [
      [short, false],
      [long, true],
    ] as const) {
      const { path, opened, ino, unborn, known } = setup(text);

      const taken = known({ [`1:${ino}`]: unborn }).take(path, opened);

      expect(taken !== undefined).toBe(isKnown);
    }
  });

  test.each([
    ['app.log.1', long, true],
    ['app-20261122.log', long, true],
    ['app.log.1', short, false],
    ['app.log', long, false],
    ['apples.log', long, false],
    ['job-2.log', long, false],
  ])('as the copy of app.log, truncated: %s', (name, text, isKnown) => {
    const { directory, path, opened, record, known } = setup(text, name);
    const files = known({});
    files.keepFormer('1:1', record({ path: join(directory, 'app.log') }));

    expect(files.take(path, opened) !== undefined).toBe(isKnown);
  });
});

test('a file with the lines of one that was let go is another', () => {
  const { path, opened, item, record, known } = setup(long);
  const files = known({});
  files.keepFinished(item, record());

  expect(files.take(path, opened)).toBeUndefined();
});

test('a file in which reading goes on is known no more, and its absence is nothing to forget', async () => {
  const { path, opened, item, record, clock, known } = setup(short);
  const files = known({ [item]: record() });

  expect(files.take(path, opened)?.item).toBe(item);
  expect(files.take(path, opened)).toBeUndefined();
  expect([...files.records()]).toEqual([]);
  await clock.advance(1_000);
  expect(files.newlyAbsent(nothing)).toEqual([]);
  expect(files.takeForgotten()).toEqual([]);
});

test('what is kept beside the records of files is none of them, and is not forgotten', () => {
  const positions = new Map([[lookItem, '1795000000000 abc']]);
  const files = knownFiles(positions, { absentFilesMax: 1, forgetAfterMs: 1 }, fakeClock());

  expect(files.takeForgotten()).toEqual([]);
  expect([...files.records()]).toEqual([]);
});

describe('what is absent', () => {
  test('and comes back is told when it goes again, and has all of its time then', async () => {
    const { known, record, clock } = setup(short);
    const files = known({ '1:1': record() });

    await clock.advance(999);
    files.newlyAbsent(new Map([['1:1', {}]]));
    expect(files.newlyAbsent(nothing)).toEqual([{ item: '1:1', record: record() }]);
    await clock.advance(999);
    files.newlyAbsent(nothing);
    expect(files.takeForgotten()).toEqual([]);
    await clock.advance(1);
    files.newlyAbsent(nothing);
    expect(files.takeForgotten()).toEqual([{ item: '1:1', value: undefined }]);
  });

  test('is told once, and again where that is asked for', () => {
    const { known, record } = setup(short);
    const files = known({ '1:1': record() });

    expect(files.newlyAbsent(nothing)).toEqual([]);
    files.tellAgain('1:1');
    expect(files.newlyAbsent(nothing)).toHaveLength(1);
  });

  test('is forgotten after its time, and not when it is back', async () => {
    const { known, record, clock } = setup(short);
    const files = known({ '1:1': record(), '1:2': record() });
    files.newlyAbsent(new Map([['1:2', {}]]));

    await clock.advance(1_000);
    files.newlyAbsent(new Map([['1:2', {}]]));

    expect(files.takeForgotten()).toEqual([{ item: '1:1', value: undefined }]);
    expect(files.takeForgotten()).toEqual([]);
    expect([files.has('1:1'), files.has('1:2')]).toEqual([false, true]);
  });

  test('is forgotten, the first missed first, where there is too much', () => {
    const { known, record } = setup(short);
    const files = known({ '1:1': record(), '1:2': record(), '1:3': record() }, 2);

    expect(files.takeForgotten()).toEqual([{ item: '1:1', value: undefined }]);
  });

  test('is a position that this version does not understand', () => {
    const files = knownFiles(new Map([['1:1', '{']]), { absentFilesMax: 1, forgetAfterMs: 1 }, fakeClock());

    expect(files.takeForgotten()).toEqual([{ item: '1:1', value: undefined }]);
  });

  test.each(['keepFormer', 'keepFinished'] as const)(
    'leaves no position behind where it is no file of its own: %s',
    async (keep) => {
      const { known, record, clock } = setup(short);
      const files = known({});
      files[keep]('1:1', record());

      await clock.advance(1_000);
      files.newlyAbsent(nothing);

      expect([...files.records()]).toEqual([]);
      expect(files.takeForgotten()).toEqual([]);
    },
  );
});
