import { agentError } from '../agent/errors.ts';
import { sealedBytesMax } from '../keys/sealer.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { inputBytes } from './input.ts';
import { operatorLaunchOf } from './launch.ts';

/** `gatehouse seal`: a secret becomes a sealed file. */
export const sealCommand = command({
  usage: 'seal',
  summary: 'Seal a secret into a file that only KMS can open',
  options: {
    name: { type: 'string', demandOption: true, describe: 'The secret’s name', requiresArg: true },
    in: {
      type: 'string',
      demandOption: true,
      describe: 'File with the plaintext, or - for stdin',
      requiresArg: true,
    },
    out: { type: 'string', demandOption: true, describe: 'Sealed file to write', requiresArg: true },
    wrap: {
      choices: ['kms'] as const,
      default: 'kms' as const,
      describe: 'What wraps the data key',
      requiresArg: true,
    },
    'key-id': { type: 'string', describe: 'KMS key: id, ARN or alias', requiresArg: true },
    'bind-to-host': { type: 'boolean', default: false, describe: 'Only a host with this `name` may open it' },
    force: { type: 'boolean', default: false, describe: 'Replace a file that exists' },
  },
  async run(args, invocation) {
    const keyId = args['key-id'];
    if (keyId === undefined) throw agentError('SEALING_KEY_MISSING');
    const { seal } = await import('../agent/seal.ts');
    const launch = operatorLaunchOf(args, invocation);
    const { name, out: file, force } = args;
    const bindToHost = args['bind-to-host'];
    const bytes = await inputBytes(args.in, sealedBytesMax, invocation);
    const request = { name, bytes, file, keyId, bindToHost, force };
    const sealed = await seal(launch, request, stopSignal());
    if (args.json) invocation.stdout.write(`${JSON.stringify(sealed)}\n`);
    else invocation.stderr.write(`sealed ${sealed.name} into ${sealed.file} under ${sealed.keyArn}\n`);
    return 0;
  },
});
