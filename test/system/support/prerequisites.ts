import { accessSync, constants } from 'node:fs';
import { release } from 'node:os';

const kernel = 'Linux ';

/**
 * Whether something is missing that the system tests need, so that they are skipped. Says what on stderr. Needed is root
 * always, a program by its name, a kernel as `Linux 6.7`.
 * @throws under CI, where that fails the test file
 */
export function isSystemMissing(...needed: readonly string[]): boolean {
  const missing = [
    ...(process.getuid?.() === 0 ? [] : ['root']),
    ...needed.filter((name) => (name.startsWith(kernel) ? !isKernel(name) : !isInstalled(name))),
  ];
  if (missing.length === 0) return false;
  const reason = `no ${missing.join(', no ')}`;
  const { CI = '' } = process.env;
  if (!['', 'false', '0'].includes(CI)) throw new Error(`system tests cannot run: ${reason}`);
  process.stderr.write(`skipped, ${reason}\n`);
  return true;
}

function isKernel(oldest: string): boolean {
  const [major = 0, minor = 0] = oldest.slice(kernel.length).split('.').map(Number);
  const [ours = 0, oursMinor = 0] = release().split('.').map(Number);
  return ours > major || (ours === major && oursMinor >= minor);
}

function isInstalled(program: string): boolean {
  return ['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((folder) => {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
