import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from './lock.ts';
import { type Architecture, nodeFolder } from './node-binary.ts';

export interface DebianPackage {
  readonly architecture: Architecture;
  /** Of Debian's form: `1.2.3`, `1.2.3~rc1`. */
  readonly version: string;
  /** Where the .deb is written to. */
  readonly folder: string;
  /** zstd is understood from Debian 12 and Ubuntu 22.04 on, and ten times as fast as xz. */
  readonly compression: 'zstd' | 'none';
  /** Of every file in it, so that the same source gives the same package. */
  readonly changedAt: Date;
  /** Documents for /usr/share/doc/gatehouse: name → text. */
  readonly documents: Readonly<Record<string, string>>;
  readonly manPage: string;
}

const own = join(import.meta.dirname, 'files');

/** The only file of the package that is the operator's to change. */
const conffile = '/etc/gatehouse/environment';

/** Builds `gatehouse_VERSION_ARCHITECTURE.deb` with dpkg-deb, from dist/ as it is; returns its path. */
export function debianPackage(wanted: DebianPackage): string {
  const { architecture, version, folder, compression, changedAt } = wanted;
  const tree = mkdtempSync(join(tmpdir(), 'gatehouse-package-'));
  try {
    writeProgram(tree, nodeFolder(architecture));
    writeDocuments(tree, wanted);
    writeControl(tree, wanted);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `gatehouse_${version}_${architecture}.deb`);
    execFileSync('chmod', ['-R', 'u=rwX,go=rX', tree]);
    execFileSync('chmod', ['0600', join(tree, conffile)]);
    execFileSync(
      'dpkg-deb',
      [
        '--root-owner-group',
        `-Z${compression}`,
        ...(compression === 'zstd' ? ['-z9'] : []),
        '--build',
        tree,
        file,
      ],
      {
        env: { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: String(Math.floor(changedAt.getTime() / 1000)) },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    return file;
  } finally {
    rmSync(tree, { recursive: true });
  }
}

function writeProgram(tree: string, node: string): void {
  put(tree, '/usr/lib/gatehouse/bin/node', join(node, 'bin/node'));
  for (const name of readdirSync(join(root, 'dist')).filter((each) => each.endsWith('.mjs'))) {
    put(tree, `/usr/lib/gatehouse/dist/${name}`, join(root, 'dist', name));
  }
  put(tree, '/usr/lib/gatehouse/warm-code-cache.mjs', join(own, 'warm-code-cache.mjs'));
  put(tree, '/usr/bin/gatehouse', join(own, 'gatehouse'));
  put(tree, '/usr/lib/systemd/system/gatehouse.service', join(root, 'systemd/gatehouse.service'));
  put(tree, '/usr/lib/tmpfiles.d/gatehouse.conf', join(root, 'systemd/gatehouse.tmpfiles.conf'));
  put(tree, conffile, join(own, 'environment'));
}

function writeDocuments(tree: string, { documents, manPage }: DebianPackage): void {
  const folder = '/usr/share/doc/gatehouse';
  for (const [name, text] of Object.entries(documents)) write(tree, `${folder}/${name}`, text);
  put(tree, `${folder}/drop-ins`, join(root, 'systemd/drop-ins'));
  put(tree, `${folder}/templates`, join(root, 'templates'));
  put(tree, `${folder}/examples/config.json`, join(root, 'config.example.json'));
  put(tree, `${folder}/examples/config.schema.json`, join(root, 'config.schema.json'));
  put(tree, `${folder}/config.md`, join(root, 'docs/reference/config.md'));
  // Level 9 and no time in the header, as Debian's policy wants it.
  write(tree, '/usr/share/man/man8/gatehouse.8.gz', gzipSync(manPage, { level: 9 }));
}

function writeControl(tree: string, { architecture, version }: DebianPackage): void {
  const installed = execFileSync('du', ['-sk', '--apparent-size', tree]).toString().split('\t')[0] ?? '0';
  const fields = [
    'Package: gatehouse',
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${maintainer()}`,
    `Installed-Size: ${installed}`,
    'Depends: libc6 (>= 2.28), libstdc++6 (>= 9), libgcc-s1, libatomic1, adduser, util-linux, init-system-helpers',
    'Recommends: systemd (>= 247), ca-certificates',
    'Section: admin',
    'Priority: optional',
    'Description: host agent for AWS credentials, secrets and logs',
    ' One agent per host: from nothing but the identity of the host it obtains AWS',
    ' credentials, fetches its configuration from Secrets Manager, opens secrets',
    ' sealed with KMS, puts secrets where programs read them, and ships logs to',
    ' CloudWatch Logs without losing a line. It brings its own Node.js.',
  ];
  write(tree, '/DEBIAN/control', `${fields.join('\n')}\n`);
  write(tree, '/DEBIAN/conffiles', `${conffile}\n`);
  write(tree, '/DEBIAN/md5sums', checksums(tree));
  for (const script of ['postinst', 'prerm', 'postrm']) put(tree, `/DEBIAN/${script}`, join(own, script));
}

/** Who answers for this package is who builds it, named as Debian's own tools are told. */
function maintainer(): string {
  const { DEBFULLNAME: name = 'The Gatehouse authors', DEBEMAIL: address } = process.env;
  return address === undefined ? name : `${name} <${address}>`;
}

/** What `dpkg --verify` compares with. */
function checksums(tree: string): string {
  return readdirSync(join(tree, 'usr'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((path) => {
      const digest = createHash('md5').update(readFileSync(path)).digest('hex');
      return `${digest}  ${path.slice(tree.length + 1)}\n`;
    })
    .join('');
}

function put(tree: string, path: string, from: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  cpSync(from, join(tree, path), { recursive: true, dereference: true });
}

function write(tree: string, path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), content);
}
