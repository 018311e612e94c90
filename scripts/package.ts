import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { exitCode } from '../src/base/exit-code.ts';
import { commands } from '../src/cli/cli.ts';
import { globalOptions } from '../src/cli/command.ts';
import { version as programVersion } from '../src/cli/version.ts';
import { build } from './build.ts';
import { manPage } from './docs/man.ts';
import { billOfMaterials } from './package/bill-of-materials.ts';
import { bundledPackages } from './package/bundled.ts';
import { type DebianPackage, debianPackage } from './package/debian.ts';
import { root } from './package/lock.ts';
import { type Architecture, nodeFolder } from './package/node-binary.ts';
import { debianCopyright, thirdPartyNotices } from './package/notices.ts';

interface ReleaseOptions extends Pick<DebianPackage, 'folder' | 'compression' | 'version'> {
  readonly architectures: readonly Architecture[];
}

const man = {
  files: {
    '/etc/gatehouse/config.json': 'Bootstrap config. Owned by root and writable by nobody else, or refused.',
    '/etc/gatehouse/environment': 'Environment of the service.',
    '/run/gatehouse': 'Delivered files and control.sock.',
    '/var/lib/gatehouse': 'Host id and spool.',
    '/usr/share/doc/gatehouse/examples': 'An example config and its JSON Schema.',
    '/usr/share/doc/gatehouse/templates': 'CloudFormation templates of what a host needs at AWS.',
    '/usr/share/doc/gatehouse/drop-ins':
      'Drop-ins for gatehouse.service that let it give files to other users and read their logs.',
  },
  exitCodes: [
    [exitCode.done, 'Done.'],
    [exitCode.usage, 'The command line is wrong.'],
    [exitCode.damagedInput, 'An input is damaged or forged.'],
    [exitCode.missingInput, 'An input is not there.'],
    [exitCode.unavailable, 'AWS or another service is out of reach.'],
    [exitCode.tryAgain, 'Try again later.'],
    [exitCode.refused, 'Refused: credentials or permissions.'],
    [exitCode.configuration, 'The configuration is wrong.'],
  ],
} as const;

/** Builds the program and, of it, all that a release consists of; returns the files. */
async function release(options: ReleaseOptions): Promise<readonly string[]> {
  const { architectures, folder, compression, version } = options;
  const changedAt = changeTime();
  await build();
  const bundled = bundledPackages();
  const nodeVersions = versionsOf(join(root, 'node_modules/.bin/node'));
  const [first = 'amd64'] = architectures;
  const bill = billOfMaterials({ bundled, nodeVersions, timestamp: changedAt.toISOString() });
  const notices = thirdPartyNotices(bundled, nodeFolder(first));
  const page = manPage({
    version,
    date: changedAt.toISOString().slice(0, 10),
    commands,
    globalOptions,
    ...man,
  });
  const documents = {
    copyright: debianCopyright(),
    'THIRD-PARTY-NOTICES': notices,
    'sbom.cdx.json': bill,
    'README.md': readFileSync(join(root, 'README.md'), 'utf8'),
    'CHANGELOG.md': readFileSync(join(root, 'CHANGELOG.md'), 'utf8'),
  };

  const packages = architectures.map((architecture) =>
    debianPackage({ architecture, version, folder, compression, changedAt, documents, manPage: page }),
  );
  const beside = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  const billFile = beside(`gatehouse_${version}.cdx.json`, bill);
  const noticesFile = beside(`gatehouse_${version}.THIRD-PARTY-NOTICES.txt`, notices);
  const sums = [...packages, billFile, noticesFile].map((file) => `${sha256(file)}  ${basename(file)}\n`);
  return [...packages, billFile, noticesFile, beside('SHA256SUMS', sums.join(''))];
}

/** Of the commit, so that a package does not depend on when it is built; SOURCE_DATE_EPOCH wins. */
function changeTime(): Date {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  if (epoch !== undefined) return new Date(Number(epoch) * 1000);
  try {
    const time = execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, stdio: 'pipe' });
    return new Date(Number(time.toString()) * 1000);
  } catch {
    return new Date(0);
  }
}

function versionsOf(node: string): Record<string, string> {
  const text = execFileSync(node, ['-p', 'JSON.stringify(process.versions)'], { env: {} }).toString();
  const versions: Record<string, string> = JSON.parse(text);
  return versions;
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

if (import.meta.main) {
  const started = performance.now();
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', multiple: true, default: ['amd64', 'arm64'] },
      out: { type: 'string', default: join(root, 'packages') },
      version: { type: 'string', default: programVersion },
      uncompressed: { type: 'boolean', default: false },
    },
  });
  const { arch, out: folder, version, uncompressed } = values;
  const architectures = arch.filter((name) => name === 'amd64' || name === 'arm64');
  if (architectures.length !== arch.length) throw new Error('--arch takes amd64 or arm64');
  const compression = uncompressed ? 'none' : 'zstd';
  for (const file of await release({ architectures, folder, compression, version })) {
    process.stdout.write(`${file}\n`);
  }
  process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s\n`);
}
