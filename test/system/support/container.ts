import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as timeout } from 'node:timers/promises';
import { patienceMs } from '../../support/patience.ts';
import { childrenOf, nameOf } from './children-of.ts';
import type { Image } from './image.ts';
import { type ProgramResult, runProgram } from './run-program.ts';

/** A network with a loopback and nothing else, as long as it is held. */
export interface Network {
  /** A process in it. */
  readonly pid: number;
  close(): Promise<void>;
}

export async function openNetwork(): Promise<Network> {
  const holder = spawn(
    'unshare',
    ['--net', '--', '/bin/sh', '-c', 'ip link set lo up && echo up && exec sleep infinity'],
    { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(holder.stdout, 'data');
  return { pid: holder.pid ?? 0, close: () => killed(holder) };
}

export interface ContainerOptions {
  readonly image: Image;
  readonly network: Network;
  readonly env: Readonly<Record<string, string>>;
  /** Mount points in memory, which belong to the image's user. */
  readonly tmpfs: readonly string[];
  /** In place of the image's command, as behind its name in `docker run`. */
  readonly command?: readonly string[];
}

export interface Container {
  /** Its PID 1, as this machine counts. */
  readonly pid: number;
  /** What it wrote to stderr and stdout so far. */
  readonly output: () => string;
  /** Runs a program in it as the image's user, without a shell. */
  exec(argv: readonly string[]): Promise<ProgramResult>;
  /** SIGTERM to its PID 1; resolves with its exit code. */
  stop(): Promise<number | null>;
  close(): Promise<void>;
}

const pollMs = 50;

/** Runs an image as a container engine would: its entry point as PID 1 and its user, on a root that is read-only. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const { image, network, env, tmpfs } = options;
  const { User = '0:0', Env = [], Entrypoint = [], Cmd = [] } = image.config;
  const { command = Cmd } = options;
  const [uid = '0', gid = uid] = User.split(':');
  // Not nspawn's --user, which wants to make the home folder.
  const capabilities = ['--no-new-privs', '--bounding-set=-all', '--inh-caps=-all'];
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const unprivileged = ['/usr/bin/setpriv', ...user, ...capabilities, '--'];
  const variables = [...Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const mounts = tmpfs.map((path) => `--tmpfs=${path}:mode=0755,uid=${uid},gid=${gid}`);
  const flags = ['--register=no', '--keep-unit', '--quiet', '--console=pipe', '--read-only'];
  const place = [`--directory=${image.root}`, `--network-namespace-path=/proc/${network.pid}/ns/net`];
  const environment = variables.map((variable) => `--setenv=${variable}`);
  const nspawn = spawn(
    'systemd-nspawn',
    [...flags, ...place, ...mounts, ...environment, ...unprivileged, ...Entrypoint, ...command],
    { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const said: Buffer[] = [];
  nspawn.stdout.on('data', (piece: Buffer) => said.push(piece));
  nspawn.stderr.on('data', (piece: Buffer) => said.push(piece));
  const output = (): string => Buffer.concat(said).toString();
  const pid = await firstProcess(nspawn, output);

  return {
    pid,
    output,
    exec: (argv) => {
      const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root'];
      const clean = ['/usr/bin/env', '-i', ...variables];
      return runProgram([
        'nsenter',
        `--target=${pid}`,
        ...namespaces,
        '--',
        ...clean,
        ...unprivileged,
        ...argv,
      ]);
    },
    async stop() {
      const ended = once(nspawn, 'exit');
      process.kill(pid, 'SIGTERM');
      await ended;
      return nspawn.exitCode;
    },
    close: () => killed(nspawn, pid),
  };
}

async function firstProcess(nspawn: ChildProcess, output: () => string): Promise<number> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const pid = childrenOf(nspawn.pid ?? 0)[0] ?? 0;
    if (pid > 0 && nameOf(pid) === 'tini') return pid;
    if (nspawn.exitCode !== null || performance.now() > deadline) {
      throw new Error(`the container does not start:\n${output()}`);
    }
    await timeout(pollMs);
  }
}

async function killed(child: ChildProcess, first?: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  if (first === undefined) child.kill('SIGKILL');
  else process.kill(first, 'SIGKILL');
  await ended;
}
