import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { operatorLaunchOf } from './launch.ts';
import { rowsText } from './rows.ts';

/** `gatehouse whoami`: which credential source answers, and who that makes this host. */
export const whoamiCommand = command({
  usage: 'whoami',
  summary: 'Say which credential source answers and who that makes this host in AWS',
  options: {},
  async run(args, invocation) {
    const { whoami } = await import('../agent/whoami.ts');
    const who = await whoami(operatorLaunchOf(args, invocation), stopSignal());
    invocation.stdout.write(
      args.json
        ? `${JSON.stringify(who)}\n`
        : rowsText([
            ['source', who.source],
            ['arn', who.arn],
            ['account', who.account],
            ['session name', who.sessionName ?? '-'],
            ['expires', who.expiration ?? 'never'],
            ...who.notApplied.map(({ source, why }): [string, string] => [
              'did not apply',
              `${source}: ${why}`,
            ]),
          ]),
    );
    return 0;
  },
});
