import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { cacheFolder } from '../../../scripts/package/cache.ts';
import { patienceMs } from '../../support/patience.ts';
import { childrenOf, nameOf } from './children-of.ts';
import { debianTree } from './debian-tree.ts';
import { mustRun, type ProgramResult, runProgram } from './run-program.ts';

/** A Debian 12 with systemd as its PID 1, booted in namespaces of its own: nothing of it is this machine's. */
export interface Machine {
  /** Its root folder, as this machine sees it; what is mounted inside (/run, /tmp) is not seen. */
  readonly root: string;
  /** Its PID 1, as this machine counts; another one after `reboot`. */
  readonly pid: number;
  /** Runs a shell script as root, in all of its namespaces. */
  shell(script: string): Promise<ProgramResult>;
  /** The same for a script that must succeed; resolves with stdout, without the last line break. */
  sh(script: string): Promise<string>;
  /** As one of its users, with that user's groups and nothing else. */
  shellAs(user: string, script: string): Promise<ProgramResult>;
  write(path: string, text: string, mode?: number): void;
  /** Copies a file of this machine into the folder; returns its path there. */
  copyIn(file: string, folder: string): string;
  /** Shuts down and boots again: what is in memory is new, and so is its network. */
  reboot(): Promise<void>;
  close(): Promise<void>;
}

const packages = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'adduser',
  'ca-certificates',
  'init-system-helpers',
  'libatomic1',
  'libstdc++6',
];

const pollMs = 100;
const inside = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root'] as const;

/**
 * Boots one, with these packages beside the usual. systemd-nspawn gives it a network with a loopback only, and its own
 * /tmp and /run.
 */
export async function bootMachine(more: readonly string[] = []): Promise<Machine> {
  const tree = await debianTree([...packages, ...more]);
  const folder = mkdtempSync(join(cacheFolder('machines'), 'machine-'));
  const root = join(folder, 'root');
  await mustRun(['cp', '-a', '--reflink=auto', tree, root]);
  const flags = ['--register=no', '--keep-unit', '--private-network', '--console=pipe', '--quiet'];
  const said: Buffer[] = [];
  const start = (): ChildProcess => {
    const child = spawn(
      'systemd-nspawn',
      ['--boot', `--directory=${root}`, `--machine=gatehouse-${process.pid}`, ...flags],
      { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    child.stdout?.on('data', (piece: Buffer) => said.push(piece));
    child.stderr?.on('data', (piece: Buffer) => said.push(piece));
    return child;
  };
  let nspawn = start();
  let pid = 0;

  const enter = (user: readonly string[], script: string): Promise<ProgramResult> =>
    runProgram(['nsenter', `--target=${pid}`, ...inside, '--', ...user, '/bin/sh', '-c', `cd /\n${script}`]);
  const close = async (): Promise<void> => {
    await ended(nspawn, pid);
    rmSync(folder, { recursive: true, force: true });
  };
  const machine: Machine = {
    root,
    get pid() {
      return pid;
    },
    shell: (script) => enter([], script),
    async sh(script) {
      const { code, stdout, stderr } = await enter([], script);
      if (code !== 0) throw new Error(`${script}\nexits ${code}:\n${stdout}${stderr}`);
      return stdout.trimEnd();
    },
    shellAs: (user, script) =>
      enter(['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups'], script),
    write(path, text, mode = 0o644) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode });
    },
    copyIn(file, to) {
      mkdirSync(join(root, to), { recursive: true });
      copyFileSync(file, join(root, to, basename(file)));
      return join(to, basename(file));
    },
    async reboot() {
      const down = once(nspawn, 'exit');
      // It goes down with what says so. systemd-nspawn's own reboot does not work everywhere: it is started again.
      await machine.shell('systemctl poweroff');
      await down;
      nspawn = start();
      await booted();
    },
    close,
  };

  async function booted(): Promise<void> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      pid = firstChild(nspawn.pid ?? 0) ?? 0;
      const state = pid === 0 ? '' : (await machine.shell('systemctl is-system-running')).stdout.trim();
      if (state === 'running' || state === 'degraded') return;
      if (nspawn.exitCode !== null || performance.now() > deadline) {
        throw new Error(`the machine does not boot (${state}): ${Buffer.concat(said).toString()}`);
      }
      await timeout(pollMs);
    }
  }

  try {
    await booted();
  } catch (error) {
    await close();
    throw error;
  }
  return machine;
}

/** Its PID 1 takes all that is in it along. */
async function ended(nspawn: ChildProcess, pid: number): Promise<void> {
  if (nspawn.exitCode !== null || nspawn.signalCode !== null) return;
  const closed = once(nspawn, 'exit');
  if (pid === 0) nspawn.kill('SIGKILL');
  else process.kill(pid, 'SIGKILL');
  await closed;
}

function firstChild(pid: number): number | undefined {
  const [first] = childrenOf(pid);
  return first !== undefined && nameOf(first) === 'systemd' ? first : undefined;
}
