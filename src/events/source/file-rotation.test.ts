import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import type { Positions } from '../event-source.ts';
import { fileSource } from './file.ts';
import { fileSourceLimits } from './file-limits.ts';

/** A log that is written to and rotated. Each thing that happens has a time of its own, a second after the last. */
function logFolder(linesAtOnce: number) {
  const directory = temporaryDirectory();
  const path = (name: string): string => join(directory, name);
  const written: string[] = [];
  let second = 1_700_000_000;

  function stamp(name: string): void {
    second += 1;
    utimesSync(path(name), second, second);
  }

  const folder = {
    directory,
    path,
    written,
    write(name: string) {
      const lines = Array.from(
        { length: linesAtOnce },
        (_, each) => `line ${written.length + each} of the log`,
      );
      written.push(...lines);
      appendFileSync(path(name), lines.map((line) => `${line}\n`).join(''));
      stamp(name);
    },
    rename: (from: string, to: string) => renameSync(path(from), path(to)),
    /** As gzip does: another file with the time of the first, which is then deleted. */
    compress(name: string, how: 'gz' | 'zst') {
      const { atime, mtime } = statSync(path(name));
      const compressed = how === 'gz' ? gzipSync : zstdCompressSync;
      writeFileSync(path(`${name}.${how}`), compressed(readFileSync(path(name))));
      utimesSync(path(`${name}.${how}`), atime, mtime);
      rmSync(path(name));
    },
    copyTruncate(from: string, to: string) {
      copyFileSync(path(from), path(to));
      stamp(to);
      truncateSync(path(from));
      stamp(from);
    },
    truncate(name: string) {
      truncateSync(path(name));
      stamp(name);
    },
    remove: (name: string) => rmSync(path(name)),
    link(target: string, name: string) {
      rmSync(path(name), { force: true });
      symlinkSync(target, path(name));
    },
    exists: (name: string) => existsSync(path(name)),
  };
  return folder;
}

type LogFolder = ReturnType<typeof logFolder>;

/** An agent that can be stopped, started again, and held back as an outage does. */
function agentOn(folder: LogFolder, pattern: string) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const lines: string[] = [];
  let positions: Positions = new Map();
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  let stopping = new AbortController();
  let done = Promise.resolve();

  async function read(signal: AbortSignal): Promise<void> {
    const source = fileSource({
      name: 'app',
      files: [folder.path(pattern)],
      readFrom: [folder.directory],
      clock,
      log: (event) => events.push(event),
    });
    for await (const chunk of source.chunks(positions, signal)) {
      lines.push(...chunk.bytes.toString().split('\n').slice(0, -1));
      const moved = new Map(positions);
      for (const { item, value } of chunk.positions) {
        if (value === undefined) moved.delete(item);
        else moved.set(item, value);
      }
      positions = moved;
      await gate.promise;
    }
  }

  const agent = {
    lines,
    events,
    start() {
      stopping = new AbortController();
      done = read(stopping.signal);
    },
    async stop() {
      stopping.abort();
      await done;
    },
    hold() {
      gate = Promise.withResolvers();
    },
    release: () => gate.resolve(),
    /** Long enough to find what changed. */
    look: () => clock.advance(fileSourceLimits.findEveryMs),
    /** Until all is there, and then long enough for anything that should not come. */
    async settle() {
      await vi
        .waitFor(async () => {
          await clock.advance(fileSourceLimits.findEveryMs);
          if (lines.length < folder.written.length) throw new Error('not all yet');
        }, patient)
        .catch(() => undefined);
      for (let each = 0; each < 12; each += 1) await clock.advance(fileSourceLimits.findEveryMs);
    },
  };
  onTestFinished(async () => {
    agent.release();
    await agent.stop();
  });
  return agent;
}

/** In figures: of so many lines nobody wants to read the difference. */
function account(arrived: readonly string[], written: readonly string[]) {
  const counts = new Map<string, number>();
  for (const line of arrived) counts.set(line, (counts.get(line) ?? 0) + 1);
  return {
    lost: written.filter((line) => !counts.has(line)).length,
    repeated: arrived.length - counts.size,
    damaged: counts.size - written.filter((line) => counts.has(line)).length,
    firstOutOfOrder: arrived.findIndex((line, index) => line !== written[index]),
  };
}

const complete = { lost: 0, repeated: 0, damaged: 0 };
const inOrder = { ...complete, firstOutOfOrder: -1 };

interface Scheme {
  readonly name: string;
  readonly pattern: string;
  /** What is written to at first. */
  readonly first: string;
  /** Rotates, writing in between as a program does. */
  readonly rotate: (folder: LogFolder) => void;
  /** Whether what is there when it rotates is gone with it: only what was read before is expected then. */
  readonly isGone?: boolean;
  /** Files of different names are read side by side. */
  readonly isOrdered?: boolean;
  readonly prepare?: (folder: LogFolder) => void;
}

const schemes: readonly Scheme[] = [
  {
    name: 'rename',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      folder.rename('app.log', 'app.log.1');
      folder.write('app.log');
    },
  },
  {
    name: 'rename, where globs name the rotated files too',
    pattern: 'app.log*',
    first: 'app.log',
    rotate(folder) {
      folder.rename('app.log', 'app.log.1');
      folder.write('app.log');
    },
  },
  ...(['gz', 'zst'] as const).flatMap((how): Scheme[] =>
    ['*.log', 'app.log*'].map((pattern) => ({
      name: `rename and compress to ${how}, with ${pattern}`,
      pattern,
      first: 'app.log',
      rotate(folder) {
        folder.rename('app.log', 'app.log.1');
        folder.write('app.log');
        folder.compress('app.log.1', how);
      },
    })),
  ),
  {
    name: 'copytruncate',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      folder.copyTruncate('app.log', 'app.log.1');
      folder.write('app.log');
    },
  },
  {
    name: 'copytruncate that grows beyond where it was',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      folder.copyTruncate('app.log', 'app.log.1');
      for (let each = 0; each < 4; each += 1) folder.write('app.log');
    },
  },
  {
    name: 'copytruncate and compress',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      folder.copyTruncate('app.log', 'app.log.1');
      folder.compress('app.log.1', 'gz');
      folder.write('app.log');
    },
  },
  {
    name: 'truncate in place',
    pattern: '*.log',
    first: 'app.log',
    isGone: true,
    rotate(folder) {
      folder.truncate('app.log');
      folder.write('app.log');
    },
  },
  {
    name: 'delete and recreate',
    pattern: '*.log',
    first: 'app.log',
    isGone: true,
    rotate(folder) {
      folder.remove('app.log');
      folder.write('app.log');
    },
  },
  {
    name: 'switch of a link',
    pattern: 'app.log',
    first: 'app-a.txt',
    prepare: (folder) => folder.link('app-a.txt', 'app.log'),
    rotate(folder) {
      folder.write('app-b.txt');
      folder.link('app-b.txt', 'app.log');
      folder.write('app-b.txt');
    },
  },
  {
    name: 'a file for each day',
    isOrdered: false,
    pattern: 'app-*.log',
    first: 'app-20261125.log',
    rotate(folder) {
      folder.write('app-20261126.log');
      folder.write('app-20261127.log');
    },
  },
  {
    name: 'three renames',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      for (let each = 0; each < 3; each += 1) {
        for (const old of [3, 2, 1]) {
          if (folder.exists(`app.log.${old}`)) folder.rename(`app.log.${old}`, `app.log.${old + 1}`);
        }
        folder.rename('app.log', 'app.log.1');
        folder.write('app.log');
      }
    },
  },
  {
    name: 'three renames, all but the last compressed',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      for (let each = 0; each < 3; each += 1) {
        for (const old of [3, 2]) {
          if (folder.exists(`app.log.${old}.gz`)) folder.rename(`app.log.${old}.gz`, `app.log.${old + 1}.gz`);
        }
        if (folder.exists('app.log.1')) {
          folder.rename('app.log.1', 'app.log.2');
          folder.compress('app.log.2', 'gz');
        }
        folder.rename('app.log', 'app.log.1');
        folder.write('app.log');
      }
    },
  },
  {
    name: 'two copytruncates',
    pattern: '*.log',
    first: 'app.log',
    rotate(folder) {
      for (let each = 0; each < 2; each += 1) {
        if (folder.exists('app.log.1')) folder.rename('app.log.1', 'app.log.2');
        folder.copyTruncate('app.log', 'app.log.1');
        folder.write('app.log');
      }
    },
  },
  {
    name: 'dates in the names, compressed at once',
    pattern: 'app.log',
    first: 'app.log',
    rotate(folder) {
      for (const date of ['20261125', '20261126']) {
        folder.rename('app.log', `app-${date}.log`);
        folder.compress(`app-${date}.log`, 'gz');
        folder.write('app.log');
      }
    },
  },
];

describe.each(schemes)(
  'rotation by $name',
  ({ pattern, first, rotate, prepare, isGone = false, isOrdered = true }) => {
    const sizes = [
      ['small files', 3],
      ['large files', 20_000],
    ] as const;

    test.each(sizes)('loses and repeats nothing while the agent is up: %s', async (_size, linesAtOnce) => {
      const folder = logFolder(linesAtOnce);
      const agent = agentOn(folder, pattern);
      prepare?.(folder);
      folder.write(first);
      agent.start();
      await agent.look();

      folder.write(first);
      if (isGone) await agent.look();
      rotate(folder);
      await agent.settle();

      expect(account(agent.lines, folder.written)).toMatchObject(isOrdered ? inOrder : complete);
    });

    test.each(sizes)('loses and repeats nothing while the agent is down: %s', async (_size, linesAtOnce) => {
      const folder = logFolder(linesAtOnce);
      const agent = agentOn(folder, pattern);
      prepare?.(folder);
      folder.write(first);
      agent.start();
      await agent.look();
      await agent.stop();

      if (!isGone) folder.write(first);
      rotate(folder);
      agent.start();
      await agent.settle();

      expect(account(agent.lines, folder.written)).toMatchObject(isOrdered ? inOrder : complete);
    });

    test.each(sizes)(
      'loses and repeats nothing while the agent is held back: %s',
      async (_size, linesAtOnce) => {
        const folder = logFolder(linesAtOnce);
        const agent = agentOn(folder, pattern);
        prepare?.(folder);
        folder.write(first);
        agent.start();
        await agent.look();

        agent.hold();
        folder.write(first);
        if (!isGone) {
          await agent.look();
          folder.write(first);
        } else {
          agent.release();
          await agent.look();
        }
        rotate(folder);
        await agent.look();
        agent.release();
        await agent.settle();

        expect(account(agent.lines, folder.written)).toMatchObject(isOrdered ? inOrder : complete);
      },
    );

    test('loses nothing when the agent is stopped every now and then', async () => {
      const folder = logFolder(20_000);
      const agent = agentOn(folder, pattern);
      prepare?.(folder);
      folder.write(first);
      agent.start();
      await agent.look();
      await agent.stop();

      if (!isGone) folder.write(first);
      rotate(folder);
      for (let starts = 0; starts < 6; starts += 1) {
        agent.hold();
        agent.start();
        await agent.look();
        agent.release();
        await agent.stop();
      }
      agent.start();
      await agent.settle();

      expect(account(agent.lines, folder.written)).toMatchObject(isOrdered ? inOrder : complete);
    });
  },
);
