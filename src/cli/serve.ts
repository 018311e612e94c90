import { agentError } from '../agent/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { type Command, command } from './command.ts';
import { type ConfiguredIdentity, identityOf, wayOf } from './credential-process.ts';
import { sessionOptions } from './helper-options.ts';
import { launchOf } from './launch.ts';

/** `gatehouse serve`: a look-alike of EC2 instance metadata, as aws_signing_helper has it. */
export function serveCommand(configured: ConfiguredIdentity): Command {
  return command({
    usage: 'serve',
    summary:
      'Serve credentials from IAM Roles Anywhere as EC2 instance metadata at 127.0.0.1, to every user of this host',
    options: {
      ...sessionOptions,
      port: {
        type: 'string',
        describe: 'Port of 127.0.0.1; 0 takes a free one',
        requiresArg: true,
        default: '9911',
      },
      'hop-limit': {
        type: 'string',
        describe: 'Taken for the helper’s sake, without effect: nothing listens but 127.0.0.1',
        requiresArg: true,
        default: '64',
      },
    },
    async run(args, invocation) {
      const launch = launchOf(args, invocation);
      const identity = await identityOf(args, launch, configured);
      const [{ serve }, { sessionSource }] = await Promise.all([
        import('../agent/signing-helper/serve.ts'),
        import('../agent/signing-helper/session-source.ts'),
      ]);
      const { roleArn, region = identity.trustAnchorArn.split(':')[3] ?? '' } = identity;
      const onListening = (url: string): void => {
        invocation.stdout.write(`export AWS_EC2_METADATA_SERVICE_ENDPOINT=${url}\n`);
      };
      const { source, clock } = sessionSource(launch, identity, wayOf(args));
      const options = { port: portIn(args.port), roleArn, region, onListening };
      await serve({ ...launch, clock }, source, options, stopSignal());
      return 0;
    },
  });
}

const portMax = 65_535;

function portIn(written: string): number {
  const port = /^\d{1,5}$/u.test(written) ? Number(written) : portMax + 1;
  if (port <= portMax) return port;
  throw agentError('USAGE', { problem: `--port takes a number up to ${portMax}, not ${written}` });
}
