import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tell } from '../support/dice.ts';
import { eventually, type Host, setup } from '../support/host.ts';
import { type SpoolMode, spooling, spoolModes } from '../support/spool-modes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const lines = 40_000;
const diskMb = 4;

/** A disk of its own for the state directory. */
function smallDisk(): string {
  const path = join(temporaryDirectory(), 'state');
  mkdirSync(path, { mode: 0o700 });
  mount('-t', 'tmpfs', '-o', `size=${diskMb}m,mode=0700`, 'gatehouse-state', path);
  onTestFinished(() => {
    execFileSync('umount', ['-l', path]);
  });
  return path;
}

function mount(...args: readonly string[]): void {
  execFileSync('mount', args);
}

/** An agent whose state lies on a small disk, while CloudWatch Logs is away, so that all must wait on that disk. */
async function withSmallDisk(mode: SpoolMode) {
  const stateDirectory = smallDisk();
  const host = await setup({ bootstrap: { stateDirectory }, gateway: spooling(mode) });
  const agent = await host.started();
  write(host, 0, 1);
  await host.arrived(1);
  host.sandbox.faults.add({
    service: 'logs',
    effect: { kind: 'error', name: 'ServiceUnavailableException', status: 503 },
  });
  return { host, agent, stateDirectory };
}

/** Long enough that all of them are several times what the disk holds. */
function text(number: number): string {
  return `${number} ${'x'.repeat(300)}`;
}

function write(host: Host, from: number, to: number): void {
  for (let first = from; first < to; first += 1000) {
    host.log(Array.from({ length: Math.min(1000, to - first) }, (_line, index) => text(first + index)));
  }
}

async function expectAllThere(host: Host): Promise<void> {
  host.sandbox.faults.clear();
  expect(await host.arrivedOnce(lines)).toStrictEqual(
    new Set(Array.from({ length: lines }, (_line, number) => text(number))),
  );
}

describe.skipIf(process.getuid?.() !== 0).each(spoolModes)('spooling %s', (mode) => {
  it('a disk that is full, and has room again, loses nothing, and the agent lives on', async () => {
    const { host, agent, stateDirectory } = await withSmallDisk(mode);

    write(host, 1, lines);
    await agent.event('events.spool-failed');
    // What is small enough may find room once more.
    await eventually('a spool that fails', async () => (await host.status()).failing.includes('spool'));
    mount('-o', `remount,size=${64 * diskMb}m`, stateDirectory);
    await agent.event('events.spool-recovered');

    await expectAllThere(host);
    expect((await host.status()).pid).toBe(agent.pid);
    const batches = host.batches().map((batch) => batch.join('\n'));
    tell(`full disk: ${batches.length - new Set(batches).size} batches came twice`);
    expect((await agent.stop()).code).toBe(0);
  });

  it('a full disk drains: what is settled needs no room', async () => {
    const { host, agent } = await withSmallDisk(mode);

    write(host, 1, lines);
    await agent.event('events.spool-failed');

    await expectAllThere(host);
    await agent.event('events.spool-recovered');
    expect((await host.status()).pid).toBe(agent.pid);
  });

  it('a disk that becomes read-only, and writable again, loses nothing, and the agent lives on', async () => {
    const { host, agent, stateDirectory } = await withSmallDisk(mode);
    mount('-o', `remount,size=${64 * diskMb}m`, stateDirectory);
    write(host, 1, lines / 2);
    await eventually(
      'a batch that waits',
      async () => ((await host.status()).events?.spool.batches ?? 0) > 0 || undefined,
    );

    // Files that are open for writing keep a disk from becoming read-only: it is done over it.
    execFileSync('mount', ['--bind', stateDirectory, stateDirectory]);
    onTestFinished(() => {
      execFileSync('umount', ['-l', stateDirectory]);
    });
    mount('-o', 'remount,bind,ro', stateDirectory);
    write(host, lines / 2, lines);
    mount('-o', 'remount,bind,rw', stateDirectory);

    await expectAllThere(host);
    expect((await host.status()).pid).toBe(agent.pid);
  });
});
