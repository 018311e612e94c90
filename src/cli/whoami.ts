import type { IdentityCheck, Whoami } from '../agent/whoami.ts';
import type { ErrorReport } from '../base/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { factOf } from './failure.ts';
import { operatorLaunchOf } from './launch.ts';
import { rowsText } from './rows.ts';

/** `gatehouse whoami`: which credential source answers, and who that makes this host. */
export const whoamiCommand = command({
  usage: 'whoami',
  summary: 'Say which credential source answers and who that makes this host in AWS',
  options: {
    check: {
      type: 'boolean',
      describe: 'Run every identity check and say all that is wrong; exit code of the first problem',
    },
  },
  async run(args, invocation) {
    const { checkIdentity, whoami } = await import('../agent/whoami.ts');
    const launch = operatorLaunchOf(args, invocation);
    if (args.check === true) {
      const check = await checkIdentity(launch, stopSignal());
      invocation.stdout.write(args.json ? `${JSON.stringify(check)}\n` : checkText(check));
      return check.exitCode;
    }
    const who = await whoami(launch, stopSignal());
    invocation.stdout.write(args.json ? `${JSON.stringify(who)}\n` : whoText(who));
    return 0;
  },
});

function whoText(who: Whoami): string {
  return rowsText([
    ['source', who.source],
    ['arn', who.arn],
    ['account', who.account],
    ['session name', sessionText(who)],
    ['expires', who.expiration ?? 'never'],
    ...who.notApplied.map(({ source, why }): [string, string] => ['did not apply', `${source}: ${why}`]),
    ...who.warnings.flatMap((warning) => reportRows('warning', warning)),
  ]);
}

function sessionText({ sessionName = '-', certificate }: Whoami): string {
  if (certificate === undefined) return sessionName;
  return certificate.isSessionName
    ? `${sessionName} (the serial number of the certificate)`
    : `${sessionName} (not the serial number of the certificate, ${certificate.serialNumber})`;
}

function checkText({ who, problems }: IdentityCheck): string {
  const found = problems.flatMap((problem) => reportRows('problem', problem));
  const verdict: [string, string][] = problems.length === 0 ? [['checks', 'nothing is wrong']] : found;
  return (who === undefined ? '' : whoText(who)) + rowsText(verdict);
}

function reportRows(kind: string, report: ErrorReport): [string, string][] {
  return [
    [kind, `${factOf(report)} (${report.code})`],
    ['hint', report.remedy],
  ];
}
