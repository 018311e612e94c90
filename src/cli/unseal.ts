import type { KeyName } from '../keys/keyring.ts';
import { sealedBytesMax } from '../keys/sealer.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { inputBytes } from './input.ts';
import { operatorLaunchOf } from './launch.ts';

/** `gatehouse unseal`: the plaintext of a sealed file on stdout, once all of it was verified. */
export const unsealCommand = command({
  usage: 'unseal <file>',
  summary: 'Open a sealed file and write its plaintext to stdout',
  options: {
    'key-id': {
      type: 'string',
      describe:
        'The only KMS key accepted; without it the master key of this host, or any key of the caller’s own account',
      requiresArg: true,
    },
  },
  positionals: {
    file: {
      type: 'string',
      demandOption: true,
      describe: `Sealed file of any size, or - for stdin, which is held in memory: up to ${sealedBytesMax / 1024 / 1024} MiB`,
    },
  },
  async run(args, invocation) {
    const { unseal } = await import('../agent/sealing/unseal.ts');
    const { file, json } = args;
    const { stdout, stderr } = invocation;
    const from = file === '-' ? { bytes: await inputBytes(file, sealedBytesMax, invocation) } : { file };
    await unseal(
      operatorLaunchOf(args, invocation),
      { from, ...(args['key-id'] === undefined ? {} : { keyId: args['key-id'] }) },
      async ({ name, openedBy, pieces }) => {
        stderr.write(
          json ? `${JSON.stringify({ name, ...openedBy })}\n` : `opened ${name} with ${keyText(openedBy)}\n`,
        );
        for await (const piece of pieces) {
          await written(stdout, piece);
          piece.fill(0);
          // A reader that has gone away (`| head -1`) has what it wanted.
          if (stdout.destroyed) return;
        }
      },
      stopSignal(),
    );
    return 0;
  },
});

/** Resolves when the piece may be overwritten, written or not: what failed is said when the command ends. */
function written(stdout: NodeJS.WriteStream, piece: Buffer): Promise<void> {
  return new Promise((resolve) => {
    stdout.write(piece, () => resolve());
  });
}

function keyText(key: KeyName): string {
  return 'keyArn' in key ? key.keyArn : `master key ${key.generation}`;
}
