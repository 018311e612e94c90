import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface ProgramResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const searchPath = '/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a program of this machine to its end. */
export async function runProgram(
  argv: readonly [string, ...string[]],
  options: {
    readonly stdin?: string | Buffer;
    readonly cwd?: string;
    readonly env?: Record<string, string>;
  } = {},
): Promise<ProgramResult> {
  const [file, ...args] = argv;
  const child = spawn(file, args, {
    env: { PATH: searchPath, LANG: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', ...options.env },
    stdio: 'pipe',
    // A group of its own: a script that signals its group by mistake must not reach the tests.
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
  child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
}

/** The same for a program that must succeed; resolves with what it wrote to stdout. */
export async function mustRun(
  argv: readonly [string, ...string[]],
  options: Parameters<typeof runProgram>[1] = {},
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(argv, options);
  if (code !== 0) throw new Error(`${argv.join(' ')} exits ${code}:\n${stdout}${stderr}`);
  return stdout;
}
