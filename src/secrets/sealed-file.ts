import { createHash } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import { secretsError } from './errors.ts';
import type { SecretSource } from './secret-source.ts';

export interface SealedFileReference {
  /** The secret's name: the file must have been sealed for it. */
  readonly name: string;
  /** Absolute path. */
  readonly path: string;
}

export type SealedContext = Readonly<Record<string, string>>;

/** What a sealed file needs of other rooms. */
export interface SealedFileParts {
  /** The bootstrap `name` of this host: a file that is bound to a host opens on that host only. */
  readonly agentName: string;
  /** Reads a regular file of bounded size without following planted links. */
  readonly readFile: (path: string, signal: AbortSignal) => Promise<Buffer>;
  /** The context that sealed bytes claim; true only once `open` accepted it. */
  readonly contextOf: (sealed: Buffer) => SealedContext;
  /** Opens with exactly this context. The caller owns the buffer. */
  readonly open: (sealed: Buffer, context: SealedContext, signal: AbortSignal) => Promise<Buffer>;
  /** Told of each file that opened; refuses, by rejecting, a version that a newer one has replaced. */
  readonly admit: (file: OpenedSealedFile, signal: AbortSignal) => Promise<void>;
}

/** A file whose name and version are proven: it opened with them. */
export interface OpenedSealedFile extends SealedFileReference {
  readonly version: number;
  readonly sealed: Buffer;
}

/** The context keys of a sealed file; all that are present must match. */
export const sealedFileKeys = {
  name: 'gatehouse:name',
  purpose: 'gatehouse:purpose',
  version: 'gatehouse:version',
  agent: 'gatehouse:agent',
} as const;

const sealedFilePurpose = 'sealed-file';

/** Secrets sealed into files of this host. */
export function sealedFile({
  agentName,
  readFile,
  contextOf,
  open,
  admit,
}: SealedFileParts): SecretSource<SealedFileReference> {
  return {
    async read({ name, path }, signal) {
      const sealed = await readFile(path, signal);
      const context = acceptedContext(contextOf(sealed), { name, path, agentName });
      const bytes = await open(sealed, context, signal);
      try {
        await admit({ name, path, version: Number(context[sealedFileKeys.version]), sealed }, signal);
        return {
          value: Secret.ofBytes(bytes),
          version: `${context[sealedFileKeys.version]}-${digestOf(sealed)}`,
        };
      } finally {
        bytes.fill(0);
      }
    },
  };
}

/**
 * The whole context the file may have: ours, with the version it claims. Opening then proves the claim.
 * @throws SECRET_SEALED_FOR_OTHER_USE
 */
export function acceptedContext(
  claimed: SealedContext,
  { name, path, agentName }: { name: string; path: string; agentName: string },
): SealedContext {
  const version = claimed[sealedFileKeys.version] ?? '';
  const isBound = claimed[sealedFileKeys.agent] !== undefined;
  const expected: SealedContext = {
    [sealedFileKeys.name]: name,
    [sealedFileKeys.purpose]: sealedFilePurpose,
    [sealedFileKeys.version]: version,
    ...(isBound ? { [sealedFileKeys.agent]: agentName } : {}),
  };
  const keys = new Set([...Object.keys(claimed), ...Object.keys(expected)]);
  const differing = [...keys].filter((key) => claimed[key] !== expected[key]);
  if (!/^[1-9]\d{0,15}$/u.test(version)) differing.push(sealedFileKeys.version);
  if (differing.length > 0)
    throw secretsError('SECRET_SEALED_FOR_OTHER_USE', { secret: name, path, differing });
  return expected;
}

/** The context that a file is sealed with; `agentName` only where it is bound to that host. */
export function newContext(name: string, version: number, agentName?: string): SealedContext {
  return {
    [sealedFileKeys.name]: name,
    [sealedFileKeys.purpose]: sealedFilePurpose,
    [sealedFileKeys.version]: String(version),
    ...(agentName === undefined ? {} : { [sealedFileKeys.agent]: agentName }),
  };
}

/** Sealed again under the same version is still a change: the ciphertext tells, and says nothing of the value. */
function digestOf(sealed: Buffer): string {
  return createHash('sha256').update(sealed).digest('hex').slice(0, 8);
}
