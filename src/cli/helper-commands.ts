import type { Command } from './command.ts';
import { type ConfiguredIdentity, credentialProcessCommand } from './credential-process.ts';
import { readCertificateDataCommand } from './read-certificate-data.ts';
import { signStringCommand } from './sign-string.ts';

/** The commands of aws_signing_helper that need nothing of the agent; see `credentialProcessCommand`. */
export function helperCommands(configured?: ConfiguredIdentity): readonly Command[] {
  return [credentialProcessCommand(configured), readCertificateDataCommand, signStringCommand];
}
