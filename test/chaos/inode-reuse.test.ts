import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { tell } from '../support/dice.ts';
import { eventually, setup } from '../support/host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const generations = 12;
const linesMax = 5;

/** A file system that gives the inode of a deleted file to the next: tmpfs does not, ext4 does. */
function ext4(): string {
  const folder = temporaryDirectory();
  const [image, path] = [join(folder, 'image'), join(folder, 'mounted')];
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, 16 * 2 ** 20);
  execFileSync('mkfs.ext4', ['-q', '-I', '256', image], { stdio: 'ignore' });
  execFileSync('mount', ['-o', 'loop', image, path]);
  onTestFinished(() => {
    execFileSync('umount', ['-l', path]);
  });
  return path;
}

it.skipIf(process.getuid?.() !== 0).each([
  ['stopped', 'SIGTERM', 0],
  // A kill may come between an answer and its note.
  ['killed', 'SIGKILL', generations * linesMax],
] as const)(
  'an agent that is %s while its log becomes another of the same inode loses nothing',
  async (_what, signal, repeatsMax) => {
    const logFolder = ext4();
    const host = await setup({
      bootstrap: { allow: { readFrom: [logFolder] } },
      gateway({ events }) {
        Object.assign(events?.sources['app'] ?? {}, { files: [join(logFolder, '*.log')] });
      },
    });
    const path = join(logFolder, 'app.log');
    const inodes: number[] = [];

    for (let generation = 0; generation < generations; generation += 1) {
      // Longer and shorter than the one before: neither its length nor its place tells.
      const count = 1 + ((generation * 7) % linesMax);
      const lines = Array.from({ length: count }, (_line, index) => `${generation}.${index}`);
      rmSync(path, { force: true });
      appendFileSync(path, lines.map((line) => `${line}\n`).join(''));
      inodes.push(statSync(path).ino);
      const agent = await host.started();
      await eventually(`generation ${generation}`, () => {
        const there = new Set(host.messages());
        return lines.every((line) => there.has(line)) || undefined;
      });
      agent.kill(signal);
      await agent.finished;
    }

    const messages = host.messages();
    const reused = inodes.length - new Set(inodes).size;
    const repeats = messages.length - new Set(messages).size;
    tell(
      `inode reuse, ${signal}: ${reused} of ${generations} files had an inode of before, ${repeats} lines came twice`,
    );
    expect(reused).toBeGreaterThan(generations / 2);
    expect(repeats).toBeLessThanOrEqual(repeatsMax);
  },
);
