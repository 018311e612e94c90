import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { Problem } from '../../base/errors.ts';
import { secretNamePattern } from '../../base/secret-name.ts';
import { agentError } from '../errors.ts';

/** One secret of a manifest, its paths absolute. */
export interface ManifestEntry {
  readonly name: string;
  /** File with the plaintext. */
  readonly in: string;
  /** Sealed file to write. */
  readonly out: string;
}

const entriesMax = 10_000;

const manifestSchema = z.strictObject({
  secrets: z
    .array(
      z.strictObject({
        name: z.string().regex(secretNamePattern, 'expected 1 to 128 of A-Z a-z 0-9 . _ -'),
        in: z.string().min(1),
        out: z.string().min(1),
      }),
    )
    .min(1)
    .max(entriesMax),
});

/** The secrets that a manifest lists. Its paths are relative to its folder. @throws MANIFEST_INVALID */
export function manifestOf(bytes: Buffer, file: string): ManifestEntry[] {
  const { data, error } = manifestSchema.safeParse(jsonOf(bytes, file));
  if (error !== undefined) {
    const problems = error.issues.map(({ path, message }): Problem => ({ path: path.join('.'), message }));
    throw agentError('MANIFEST_INVALID', { file, problems });
  }
  const base = dirname(resolve(file));
  const entries = data.secrets.map(({ name, in: from, out }) => ({
    name,
    in: resolve(base, from),
    out: resolve(base, out),
  }));
  const seen = new Set<string>();
  const twice = entries.find(({ out }) => seen.size === seen.add(out).size);
  if (twice !== undefined) {
    const problems = [{ path: twice.out, message: 'is written twice' }];
    throw agentError('MANIFEST_INVALID', { file, problems });
  }
  return entries;
}

function jsonOf(bytes: Buffer, file: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // V8 quotes the text around the mistake, which may be a secret that was named as the manifest.
    throw agentError('MANIFEST_INVALID', { file, problems: [{ path: '', message: 'is not JSON' }] });
  }
}
