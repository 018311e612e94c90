import { agentError } from '../agent/errors.ts';
import type { NewSealedFile, Sealing } from '../agent/sealing/seal.ts';
import type { ManifestEntry } from '../agent/sealing/seal-manifest.ts';
import { type Problem, reportOf } from '../base/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { command, type Invocation } from './command.ts';
import { inputBytes, inputPieces } from './input.ts';
import { operatorLaunchOf } from './launch.ts';

const manifestBytesMax = 4 * 1024 * 1024;

/** `gatehouse seal`: a secret becomes a sealed file. */
export const sealCommand = command({
  usage: 'seal',
  summary: 'Seal a secret into a file that only the master key of this host, or a KMS key, can open',
  options: {
    name: { type: 'string', describe: 'The secret’s name', requiresArg: true },
    in: { type: 'string', describe: 'File with the plaintext, or - for stdin', requiresArg: true },
    out: { type: 'string', describe: 'Sealed file to write', requiresArg: true },
    manifest: {
      type: 'string',
      describe: 'Seal many: a JSON file {"secrets": [{"name", "in", "out"}]} instead of the three above',
      requiresArg: true,
    },
    wrap: {
      choices: ['master', 'kms'] as const,
      describe: 'What wraps the data key; master where there is a master key and no --key-id',
      requiresArg: true,
    },
    'key-id': { type: 'string', describe: 'KMS key: id, ARN or alias', requiresArg: true },
    'bind-to-host': { type: 'boolean', default: false, describe: 'Only a host with this `name` may open it' },
    force: { type: 'boolean', default: false, describe: 'Replace a file that exists' },
  },
  async run(args, invocation) {
    const { withSealing } = await import('../agent/sealing/seal.ts');
    const { wrap, force, json } = args;
    const options = { wrap, keyId: args['key-id'], bindToHost: args['bind-to-host'], force };
    const wanted = await wantedOf(args, invocation);
    const stop = stopSignal();
    const launch = operatorLaunchOf(args, invocation);
    await withSealing(launch, options, (sealing) => sealAll(sealing, wanted, invocation, json, stop), stop);
    return 0;
  },
});

interface Wanted {
  readonly isManifest: boolean;
  readonly entries: readonly ManifestEntry[];
}

async function wantedOf(
  args: {
    name?: string | undefined;
    in?: string | undefined;
    out?: string | undefined;
    manifest?: string | undefined;
  },
  invocation: Invocation,
): Promise<Wanted> {
  const { name, in: from, out, manifest } = args;
  if (manifest === undefined) {
    if (out === '-')
      throw agentError('USAGE', { problem: '--out takes a file: what is sealed is kept track of.' });
    if (name !== undefined && from !== undefined && out !== undefined) {
      return { isManifest: false, entries: [{ name, in: from, out }] };
    }
    throw agentError('USAGE', { problem: 'seal needs --name, --in and --out, or --manifest.' });
  }
  if (name !== undefined || from !== undefined || out !== undefined) {
    throw agentError('USAGE', { problem: '--manifest takes the place of --name, --in and --out.' });
  }
  const { manifestOf } = await import('../agent/sealing/seal-manifest.ts');
  return {
    isManifest: true,
    entries: manifestOf(await inputBytes(manifest, manifestBytesMax, invocation), manifest),
  };
}

/** Seals each; of a manifest what fails does not stop the rest. */
async function sealAll(
  sealing: Sealing,
  { isManifest, entries }: Wanted,
  invocation: Invocation,
  isJson: boolean,
  signal: AbortSignal,
): Promise<void> {
  const problems: Problem[] = [];
  for (const { name, in: from, out: file } of entries) {
    try {
      const sealed = await sealing.seal(
        { name, plaintext: inputPieces(from, invocation, signal), file },
        signal,
      );
      if (isJson) invocation.stdout.write(`${JSON.stringify(sealed)}\n`);
      else invocation.stderr.write(`sealed ${sealed.name} into ${sealed.file} under ${keyText(sealed)}\n`);
    } catch (error) {
      signal.throwIfAborted();
      if (!isManifest) throw error;
      const { code, summary } = reportOf(error);
      problems.push({ path: name, message: `${summary} (${code})` });
    }
  }
  if (problems.length > 0) {
    throw agentError('MANIFEST_INCOMPLETE', {
      sealed: entries.length - problems.length,
      of: entries.length,
      problems,
    });
  }
}

function keyText({ keyArn, generation }: NewSealedFile): string {
  return keyArn ?? `master key ${generation}`;
}
