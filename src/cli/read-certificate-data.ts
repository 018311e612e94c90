import { command } from './command.ts';
import { certificateReadingOptions, passwordFile } from './helper-options.ts';

/** `gatehouse read-certificate-data`: what a certificate holds, as aws_signing_helper says it. */
export const readCertificateDataCommand = command({
  usage: 'read-certificate-data',
  summary: 'Write a certificate, its serial number and what its key can sign, as JSON',
  options: {
    ...certificateReadingOptions,
    certificate: { ...certificateReadingOptions.certificate, demandOption: true },
  },
  async run(args, invocation) {
    const { certificateData } = await import('../agent/signing-helper/certificate-data.ts');
    const files = {
      certificate: args.certificate,
      privateKeyPassword: passwordFile(args),
      pkcs11Module: args['pkcs11-lib'],
    };
    const data = await certificateData(files, invocation.env);
    invocation.stdout.write(`${JSON.stringify(data)}\n`);
    return 0;
  },
});
