import { command } from './command.ts';
import { debugOption, passwordFile, privateKeyOptions, takenForTheHelper } from './helper-options.ts';
import { inputBytes } from './input.ts';

const stringBytesMax = 1024 * 1024;

/** `gatehouse sign-string`: signs standard input with a private key, as aws_signing_helper does. */
export const signStringCommand = command({
  usage: 'sign-string',
  summary: 'Sign standard input with a private key',
  options: {
    ...privateKeyOptions,
    certificate: takenForTheHelper,
    debug: debugOption,
    'private-key': { ...privateKeyOptions['private-key'], demandOption: true },
    digest: {
      choices: ['SHA256', 'SHA384', 'SHA512'] as const,
      default: 'SHA256' as const,
      describe: 'What is signed of it',
      requiresArg: true,
    },
    format: {
      choices: ['json', 'text', 'bin'] as const,
      default: 'json' as const,
      describe: 'Hex in a JSON string, hex, or the bytes themselves',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { signed } = await import('../agent/signing-helper/signed.ts');
    const key = {
      privateKey: args['private-key'],
      privateKeyPassword: passwordFile(args),
      pkcs11Module: args['pkcs11-lib'],
    };
    const bytes = await inputBytes('-', stringBytesMax, invocation);
    const signature = await signed(bytes, key, args.digest, invocation.env);
    const hex = signature.toString('hex');
    // Without a line end, as the helper writes it: whoever compares bytes compares these.
    const forms = { json: JSON.stringify(hex), text: hex, bin: signature };
    invocation.stdout.write(forms[args.format]);
    return 0;
  },
});
