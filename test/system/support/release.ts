import { fileURLToPath } from 'node:url';
import { mustRun } from './run-program.ts';

const program = fileURLToPath(new URL('../../../scripts/package.ts', import.meta.url));
const own = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** `npm run package`, for this machine where `--arch` does not say otherwise; returns the Debian package. */
export async function packageFor(folder: string, ...given: readonly string[]): Promise<string> {
  const flags = given.includes('--arch') ? given : ['--arch', own, ...given];
  const env = { HOME: process.env['HOME'] ?? '/root', PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const argv = [process.execPath, program, '--out', folder, ...flags] as const;
  const files = (await mustRun(argv, { env })).trim().split('\n');
  const file = files.find((each) => each.endsWith('.deb'));
  if (file === undefined) throw new Error(`no package among ${files.join(', ')}`);
  return file;
}
