import { accessSync, constants } from 'node:fs';

/**
 * Whether something is missing that the system tests need, so that they are skipped. Says what on stderr.
 * @throws under CI, where that fails the test file
 */
export function isSystemMissing(...programs: readonly string[]): boolean {
  const missing = [
    ...(process.getuid?.() === 0 ? [] : ['root']),
    ...programs.filter((program) => !isInstalled(program)),
  ];
  if (missing.length === 0) return false;
  const reason = `no ${missing.join(', no ')}`;
  const { CI = '' } = process.env;
  if (!['', 'false', '0'].includes(CI)) throw new Error(`system tests cannot run: ${reason}`);
  process.stderr.write(`skipped, ${reason}\n`);
  return true;
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
