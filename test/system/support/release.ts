import { fileURLToPath } from 'node:url';
import { mustRun } from './run-program.ts';

const program = fileURLToPath(new URL('../../../scripts/package.ts', import.meta.url));
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** `npm run package` for this machine; returns the Debian package. */
export async function packageFor(folder: string, ...flags: readonly string[]): Promise<string> {
  const env = { HOME: process.env['HOME'] ?? '/root', PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const argv = [process.execPath, program, '--arch', architecture, '--out', folder, ...flags] as const;
  const files = (await mustRun(argv, { env })).trim().split('\n');
  const file = files.find((each) => each.endsWith('.deb'));
  if (file === undefined) throw new Error(`no package among ${files.join(', ')}`);
  return file;
}
