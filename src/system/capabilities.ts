import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemError } from './errors.ts';

/** A program and its arguments, as spawn(2) takes them. */
export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
}

/**
 * The same command without the capabilities that a unit's drop-in gives to the agent alone: ambient ones go on to
 * every child. Node cannot drop them, setpriv(1) can. Without ambient capabilities the command stays as it is.
 * @throws COMMAND_NOT_FOUND which setpriv could only tell by its exit code
 */
export function withoutCapabilities(
  { file, args }: Invocation,
  searchPath: string,
  ambient: bigint,
): Invocation {
  if (ambient === 0n) return { file, args };
  if (!isExecutable(file, searchPath)) throw systemError('COMMAND_NOT_FOUND', { command: file });
  return { file: 'setpriv', args: ['--ambient-caps=-all', '--', file, ...args] };
}

function isExecutable(file: string, searchPath: string): boolean {
  const candidates = file.includes('/') ? [file] : searchPath.split(':').map((folder) => join(folder, file));
  return candidates.some((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

let known: bigint | undefined;

/** Capabilities of this process that its children inherit, as a bit mask. Set by whoever started it, once and for all. */
export function ambientCapabilities(): bigint {
  known ??= ambientOf(readStatus());
  return known;
}

/** Exported for its test: the mask in the text of /proc/PID/status. */
export function ambientOf(status: string): bigint {
  const [, mask] = /^CapAmb:\s*([0-9a-f]+)$/mu.exec(status) ?? [];
  return mask === undefined ? 0n : BigInt(`0x${mask}`);
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    // No /proc, no way to know: systemd, the only one who gives ambient capabilities, always mounts it.
    return '';
  }
}
