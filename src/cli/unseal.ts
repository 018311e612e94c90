import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { operatorLaunchOf } from './launch.ts';

/** `gatehouse unseal`: the plaintext of a sealed file on stdout, once all of it was verified. */
export const unsealCommand = command({
  usage: 'unseal <file>',
  summary: 'Open a sealed file and write its plaintext to stdout',
  options: {
    'key-id': {
      type: 'string',
      describe: 'The only KMS key accepted; without it any of the caller’s own account is',
      requiresArg: true,
    },
  },
  positionals: { file: { type: 'string', demandOption: true, describe: 'Sealed file' } },
  async run(args, invocation) {
    const { unseal } = await import('../agent/unseal.ts');
    const opened = await unseal(
      operatorLaunchOf(args, invocation),
      { file: args.file, ...(args['key-id'] === undefined ? {} : { keyId: args['key-id'] }) },
      stopSignal(),
    );
    const { name, keyArn, bytes } = opened;
    invocation.stderr.write(
      args.json ? `${JSON.stringify({ name, keyArn })}\n` : `opened ${name} with ${keyArn}\n`,
    );
    await new Promise((resolve) => {
      invocation.stdout.write(bytes, resolve);
    });
    bytes.fill(0);
    return 0;
  },
});
