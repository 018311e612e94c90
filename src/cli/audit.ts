import type { StreamVerdict } from '../agent/events/audit-verify.ts';
import { exitCode } from '../base/exit-code.ts';
import { type Finding, findingKinds } from '../events/audit/findings.ts';
import type { ChainReport } from '../events/audit/verify.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { operatorLaunchOf } from './launch.ts';
import { rowsText } from './rows.ts';

const verifyCommand = command({
  usage: 'verify',
  summary:
    'Read the audit back from CloudWatch Logs and check its chain; exit code 0 unbroken, 65 broken, 66 no audit, 69 out of reach',
  options: {
    'log-group': {
      type: 'string',
      describe: 'Log group of the audit; without it and --log-stream those of this host’s gateway config',
      requiresArg: true,
    },
    'log-stream': { type: 'string', describe: 'Log stream of the audit', requiresArg: true },
    since: {
      type: 'string',
      describe: 'Read from here on: an ISO 8601 time, or how long ago (90m, 24h, 7d)',
      requiresArg: true,
    },
    head: {
      type: 'array',
      string: true,
      describe: 'SEQUENCE:HASH, known from elsewhere, that must be in the chain; may be repeated',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { auditVerify } = await import('../agent/events/audit-verify.ts');
    const request = {
      logGroup: args['log-group'],
      logStream: args['log-stream'],
      since: args.since,
      heads: args.head ?? [],
    };
    const streams = await auditVerify(operatorLaunchOf(args, invocation), request, stopSignal());
    const isUnbroken = streams.every((stream) => stream.isUnbroken);
    invocation.stdout.write(
      args.json ? `${JSON.stringify({ isUnbroken, streams })}\n` : streams.map(textOf).join('\n'),
    );
    return isUnbroken ? exitCode.done : exitCode.damagedInput;
  },
});

/** `gatehouse audit`: whether the audit is whole. */
export const auditCommand = command({
  usage: 'audit',
  summary: 'Check the audit that was shipped',
  options: {},
  subcommands: [verifyCommand],
  run: () => Promise.resolve(exitCode.done),
});

function textOf(verdict: StreamVerdict): string {
  const { logGroup, logStream, since, retentionDays, records, chains, findings, findingsLeftOut } = verdict;
  const head: [string, string][] = [
    ['audit', `${logGroup} ${logStream}`],
    ['read', `${records} events${since === undefined ? '' : `, since ${since}`}`],
    ...(retentionDays === undefined
      ? []
      : [['kept', `${retentionDays} days, so the chain may begin late`] as [string, string]]),
    ...chains.flatMap(chainRows),
  ];
  const said = findings.map((finding): [string, string] => [
    finding.isBreak ? 'BROKEN' : 'note',
    findingText(finding),
  ]);
  const more: [string, string][] = findingsLeftOut === 0 ? [] : [['…', `${findingsLeftOut} more findings`]];
  const verdictText = verdict.isUnbroken ? 'unbroken' : 'BROKEN';
  return rowsText([...head, ...said, ...more, ['chain', verdictText]]);
}

function chainRows(report: ChainReport): [string, string][] {
  const { chain, hostId, first, last, firstTime, lastTime, head, beyondHead, lost } = report;
  return [
    ['chain', `${chain} of host ${hostId ?? 'not known'}`],
    ['records', `${first} to ${last}, ${firstTime} to ${lastTime}`],
    [
      'proven to',
      head === undefined
        ? 'nothing: no head was read, so records cut off at the end leave no trace'
        : `${head.sequence}, by the head of ${head.time}; newer records, ${beyondHead} of them here, could be cut off at the end and leave no trace`,
    ],
    ...(lost === 0 ? [] : [['lost', `${lost} records found no room on the host`] as [string, string]]),
  ];
}

function findingText({ kind, chain, sequence, to, count }: Finding): string {
  const numbers = sequence === undefined ? '' : ` ${sequence}${to === undefined ? '' : ` to ${to}`}`;
  const times = count === undefined || count === 1 ? '' : ` (${count} times)`;
  const whose = chain === undefined ? '' : `; chain ${chain}`;
  return `${kind}${numbers}: ${findingKinds[kind].meaning}${times}${whose}`;
}
