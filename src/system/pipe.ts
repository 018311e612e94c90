import { constants, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GatehouseError } from '../base/errors.ts';
import { runCommand } from './command.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const madeWithinMs = 5_000;
const saidBytesMax = 1_024;

/** A pipe of the kernel's, as a shell makes it. */
export interface Pipe {
  /** What is written into it. At its end once nobody has the other end open, we included. */
  readonly output: Readable;
  /** File descriptor for the process that writes. */
  readonly input: number;
}

/**
 * Makes one that has a name in `directory` for as long as it takes to open it. What Node gives a child for a pipe is a
 * socket, and no socket can be opened as `/dev/stdout`, which images of nginx and others do. Undefined where the system has no
 * mkfifo(1).
 */
export async function pipe(directory: string): Promise<Pipe | undefined> {
  const folder = await mkdtemp(join(directory, '.pipe-'));
  try {
    const path = join(folder, 'pipe');
    if (!(await isMade(path))) return undefined;
    // First the end that reads, which waits for nobody so: the other one waits for it.
    const reading = openSync(path, O_RDONLY | O_NONBLOCK);
    const input = openSync(path, O_WRONLY);
    return { output: new Socket({ fd: reading, readable: true, writable: false }), input };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function isMade(path: string): Promise<boolean> {
  const limits = { timeoutMs: madeWithinMs, outputBytesMax: saidBytesMax };
  try {
    const { exitCode } = await runCommand(
      ['mkfifo', '-m', '600', path],
      limits,
      new AbortController().signal,
    );
    return exitCode === 0;
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'COMMAND_NOT_FOUND') return false;
    throw error;
  }
}
