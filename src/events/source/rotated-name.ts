import { basename, dirname, join } from 'node:path';

const compressed = /\.(?:gz|zst|zstd|bz2|xz)$/u;
/** A number, a date or a time. */
const tag = /^[.\-_](?:\d[\dT.\-_:]*|old)$/u;
const dateTag = /^[.\-_]\d[\dT.\-_:]{5,}$/u;

/**
 * Whether a path is named as a rotation names what was `original`: app.log.1, app.log-20261126.gz, app-20261126.log.
 * Strict, for such a file is read though no glob names it: app-error.log is another log.
 */
export function isGenerationOf(path: string, original: string): boolean {
  const name = basename(path).replace(compressed, '');
  const base = basename(original);
  if (name.startsWith(base)) return tag.test(name.slice(base.length));
  const dot = base.lastIndexOf('.');
  if (dot <= 0) return false;
  const [root, extension] = [base.slice(0, dot), base.slice(dot)];
  const isFramed = name.startsWith(root) && name.endsWith(extension);
  return isFramed && dateTag.test(name.slice(root.length, -extension.length));
}

/** As app.log.1 and app-20261122.log are of app.log, and job-2.log is not of job-1.log. */
export function isNamedLikeCopy(path: string, original: string): boolean {
  const [stem = ''] = basename(original).split('.', 1);
  const name = basename(path);
  return name.startsWith(stem) && !/^[A-Za-z0-9]/u.test(name.slice(stem.length));
}

const taggedName = /^(.+?)[.\-_](?:\d[\dT.\-_:]*|old)$/u;
const framedName = /^(.+?)[.\-_]\d[\dT.\-_:]{5,}(\.[^.]+)$/u;

/** The paths from which a file may have been rotated, as its name tells. */
export function rotatedFrom(path: string): readonly string[] {
  const name = basename(path).replace(compressed, '');
  const [, tagged] = taggedName.exec(name) ?? [];
  const [, root, extension] = framedName.exec(name) ?? [];
  const names = [tagged, root === undefined || extension === undefined ? undefined : root + extension];
  return names
    .filter((each) => each !== undefined)
    .map((each) => join(dirname(path), each))
    .filter((original) => isGenerationOf(path, original));
}
