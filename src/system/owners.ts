import { readFile } from 'node:fs/promises';
import { GatehouseError } from '../base/errors.ts';
import type { RunCommand } from './command.ts';
import { systemError } from './errors.ts';

/** Numeric owner and group; absent where none was named. */
export interface OwnerIds {
  readonly uid?: number;
  readonly gid?: number;
}

/** Resolves names to ids. @throws OWNER_UNKNOWN */
export type ResolveOwners = (
  owner: string | undefined,
  group: string | undefined,
  signal: AbortSignal,
) => Promise<OwnerIds>;

type Database = 'passwd' | 'group';

const limits = { timeoutMs: 5_000, outputBytesMax: 64 * 1024 };

/** The largest id that is one: the next means "leave as it is" to chown(2). */
const idMax = 0xffff_fffe;

/** getent(1): no entry was found. */
const notFoundExitCode = 2;

/**
 * Users and groups by name, or by number as they are. Node cannot look users up; `getent` asks every source that the
 * host has (LDAP, SSSD, systemd-homed). Where there is no getent, as in small images, the local files are read.
 */
export function owners(runCommand: RunCommand): ResolveOwners {
  return async (owner, group, signal) => {
    const uid = owner === undefined ? undefined : await idOf('passwd', owner, runCommand, signal);
    const gid = group === undefined ? undefined : await idOf('group', group, runCommand, signal);
    return { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
  };
}

async function idOf(
  database: Database,
  name: string,
  runCommand: RunCommand,
  signal: AbortSignal,
): Promise<number> {
  if (/^\d{1,10}$/u.test(name)) return checkedId(Number(name), database, name);
  const lines = await entries(database, name, runCommand, signal);
  for (const line of lines.split('\n')) {
    const [entry, , id = ''] = line.split(':');
    if (entry === name && /^\d{1,10}$/u.test(id)) return checkedId(Number(id), database, name);
  }
  throw systemError('OWNER_UNKNOWN', { database, name });
}

function checkedId(id: number, database: Database, name: string): number {
  if (id > idMax) throw systemError('OWNER_UNKNOWN', { database, name });
  return id;
}

async function entries(
  database: Database,
  name: string,
  runCommand: RunCommand,
  signal: AbortSignal,
): Promise<string> {
  try {
    // `--`: a name from a config never becomes an option.
    const { exitCode, stdout } = await runCommand(['getent', '--', database, name], limits, signal);
    if (exitCode === 0) return stdout.toString('utf8');
    throw systemError(exitCode === notFoundExitCode ? 'OWNER_UNKNOWN' : 'OWNER_LOOKUP_FAILED', {
      database,
      name,
      exitCode,
    });
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'COMMAND_NOT_FOUND') {
      return readFile(`/etc/${database}`, { encoding: 'utf8', signal });
    }
    throw error;
  }
}
