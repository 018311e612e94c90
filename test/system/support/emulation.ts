import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as timeout } from 'node:timers/promises';
import { patienceMs } from '../../support/patience.ts';
import { childrenOf } from './children-of.ts';
import { mustRun, type ProgramResult, runProgram } from './run-program.ts';

/** A Debian in which programs of arm64 run as this machine's own do. Its network is this machine's. */
export interface Emulation {
  /** Runs a program of it as root, to its end. */
  run(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<ProgramResult>;
  /** Starts one as one of its users. */
  start(user: string, argv: readonly string[], env: Readonly<Record<string, string>>): EmulatedProgram;
  /** Ends all that runs in it. */
  close(): Promise<void>;
}

export interface EmulatedProgram {
  /** What it wrote to stdout and stderr so far. */
  readonly output: () => string;
  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** What qemu-user-static has for systemd: how a program of arm64 looks, and who runs it. */
const registration = '/usr/lib/binfmt.d/qemu-aarch64.conf';
const registered = '/proc/sys/fs/binfmt_misc';
const everyId = '0 0 65536';
const pollMs = 20;

/**
 * Opens a tree in namespaces of its own. From Linux 6.7 on each user namespace says by itself who runs foreign programs:
 * nothing changes for the machine.
 */
export async function openEmulation(tree: string): Promise<Emulation> {
  const holder = spawn(
    'unshare',
    ['--user', '--mount', '--pid', '--fork', '--kill-child', 'sleep', 'infinity'],
    { env: { PATH: '/usr/bin:/bin' }, stdio: 'ignore' },
  );
  const close = async (): Promise<void> => {
    if (holder.exitCode !== null || holder.signalCode !== null) return;
    const ended = once(holder, 'exit');
    holder.kill('SIGKILL');
    await ended;
  };
  try {
    const pid = await forked(holder);
    writeFileSync(`/proc/${pid}/uid_map`, everyId);
    writeFileSync(`/proc/${pid}/gid_map`, everyId);
    const namespaces = ['--user', '--mount', '--pid', '--setuid=0', '--setgid=0', '--'];
    const inside = ['nsenter', `--target=${pid}`, ...namespaces] as const;
    const mounts = `
      mount -t binfmt_misc none ${registered} && cat ${registration} > ${registered}/register &&
      mount -t proc proc ${tree}/proc && mount --rbind /dev ${tree}/dev && mount -t tmpfs none ${tree}/run`;
    await mustRun([...inside, 'sh', '-c', mounts]);
    const commandOf = (user: string, argv: readonly string[], env: Readonly<Record<string, string>>) => {
      const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      const clean = ['/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...variables];
      return [...inside, 'chroot', `--userspec=${user}`, tree, ...clean, ...argv] as const;
    };
    return {
      run: (argv, env = {}) => runProgram(commandOf('root', argv, env)),
      start: (user, argv, env) => started(commandOf(user, argv, env)),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What `unshare` forks, once it is in its namespaces. */
async function forked(unshare: ChildProcess): Promise<number> {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline) {
    const [pid] = childrenOf(unshare.pid ?? 0);
    if (pid !== undefined && userNamespaceOf(pid) !== userNamespaceOf('self')) return pid;
    await timeout(pollMs);
  }
  throw new Error('unshare opens no namespaces');
}

function userNamespaceOf(pid: number | 'self'): string {
  return readlinkSync(`/proc/${pid}/ns/user`);
}

function started([file, ...args]: readonly [string, ...string[]]): EmulatedProgram {
  const nsenter = spawn(file, args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, stdio: 'pipe' });
  const ended = once(nsenter, 'close');
  const said: Buffer[] = [];
  nsenter.stdout.on('data', (piece: Buffer) => said.push(piece));
  nsenter.stderr.on('data', (piece: Buffer) => said.push(piece));
  return {
    output: () => Buffer.concat(said).toString(),
    async stop() {
      // nsenter hands no signal on; what it started becomes the program.
      for (const pid of childrenOf(nsenter.pid ?? 0)) process.kill(pid, 'SIGTERM');
      await ended;
      return nsenter.exitCode;
    },
  };
}
