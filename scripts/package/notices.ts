import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BundledPackage, bundledPackages } from './bundled.ts';
import { type Architecture, nodeFolder } from './node-binary.ts';

const rule = '-'.repeat(80);

/** The licenses of all that is shipped, that of the Node in folder `node` first. */
export function thirdPartyNotices(bundled: readonly BundledPackage[], node: string): string {
  const nodeLicense = readFileSync(join(node, 'LICENSE'), 'utf8');
  const without = bundled.filter(({ notices, license }) => notices.length === 0 && license === undefined);
  if (without.length > 0) throw new Error(`no license known: ${without.map(({ path }) => path).join(', ')}`);
  const parts = [
    'Gatehouse is shipped with Node.js and holds code of the packages below.',
    `${rule}\nNode.js\n\n${nodeLicense.trim()}`,
    ...bundled.map(({ name, version, license, notices }) =>
      [
        `${rule}\n${name} ${version}: ${license ?? 'see below'}`,
        ...notices.map(([, text]) => text.trim()),
      ].join('\n\n'),
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** In the form that Debian's tools read. */
export function debianCopyright(): string {
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    'Upstream-Name: gatehouse',
    '',
    'Files: *',
    'Copyright: The Gatehouse authors',
    'License: Apache-2.0',
    '',
    'Files: usr/lib/gatehouse/*',
    'Copyright: The Gatehouse authors, and those of Node.js and of the packages that are bundled',
    'License: Apache-2.0, and those of THIRD-PARTY-NOTICES',
    ' The texts, with whom each holds the rights: THIRD-PARTY-NOTICES, beside this file.',
    '',
    'License: Apache-2.0',
    ' On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.',
    '',
  ].join('\n');
}

/** For the image, which is built without the package: the notices of dist/, on stdout. */
if (import.meta.main) {
  const architecture: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  process.stdout.write(thirdPartyNotices(bundledPackages(), nodeFolder(architecture)));
}
