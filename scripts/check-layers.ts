import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { referencesOf } from './layers/reference.ts';
import { rooms, unusedPermissions, type Violation, violationsOf } from './layers/rules.ts';

const root = dirname(import.meta.dirname);
const checked = ['src', 'sandbox', 'test', 'scripts'];

/** Folders that hold code as long as this is Gatehouse. Where one is empty the check is looking in the wrong place. */
const inhabited = ['src/base', 'src/cli', 'src/agent', 'sandbox', 'test', 'scripts'];

function sourceFiles(): string[] {
  return checked.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.[cm]?[jt]s$/u.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
}

/** Folders under src/ that no rule knows: a new room is entered in scripts/layers/rules.ts. */
function strangeFolders(files: readonly string[]): string[] {
  const known = new Set<string>([...rooms, 'cli', 'agent', 'base']);
  const folders = files.filter((file) => /^src\/.+\//u.test(file)).map((file) => file.split('/')[1] ?? '');
  return [...new Set(folders)].filter((folder) => !known.has(folder));
}

function lineOf({ reference, rule }: Violation): string {
  return `${reference.file}:${reference.line} → ${reference.target}: ${rule}`;
}

const files = sourceFiles();
const references = files.flatMap((file) => referencesOf(file, readFileSync(join(root, file), 'utf8')));
const complaints = [
  ...inhabited
    .filter((folder) => !files.some((file) => file.startsWith(`${folder}/`)))
    .map((folder) => `${folder}/ holds no source: nothing was checked there`),
  ...strangeFolders(files).map((folder) => `src/${folder}/ is no room that scripts/layers/rules.ts knows`),
  ...violationsOf(references).map(lineOf),
  ...unusedPermissions(files, references),
];

process.stdout.write(
  `${[...complaints, `${files.length} files, ${references.length} references`].join('\n')}\n`,
);
process.exitCode = complaints.length === 0 ? 0 : 1;
