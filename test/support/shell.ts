import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Finished } from './agent.ts';

const built = fileURLToPath(new URL('../../dist/gatehouse.mjs', import.meta.url));

export interface ShellOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The user and group that it runs as; only root may choose. */
  readonly uid?: number;
}

/** Runs a script of /bin/sh in which `gatehouse` is the built program: for pipes, redirections and other users. */
export async function shell(script: string, { env, cwd, uid }: ShellOptions = {}): Promise<Finished> {
  const child = spawn('/bin/sh', ['-c', `gatehouse() { "$NODE" "$PROGRAM" "$@"; }\n${script}`], {
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', NODE: process.execPath, PROGRAM: built, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
  child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
  const [code] = await once(child, 'close');
  return {
    code: typeof code === 'number' ? code : null,
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
  };
}
