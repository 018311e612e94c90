import type { AgentStatus } from '../agent/monitoring/status.ts';
import { type Health, type Probe, probes } from '../api/monitoring.ts';
import { exitCode } from '../base/exit-code.ts';
import type { RedactionStatus } from '../events/redaction/redactor.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { launchOf } from './launch.ts';
import { durationText } from './quantity.ts';
import { rowsText, tableText } from './rows.ts';

/** `gatehouse status`: what the running agent is doing. */
export const statusCommand = command({
  usage: 'status',
  summary: 'Show what the running agent is doing; exit code 0 ready or degraded, 75 not yet, 69 no agent',
  options: {
    check: {
      choices: probes,
      describe:
        'Only ask one thing, as a health probe does, with 0 for yes and 75 for no: has it started, is it alive ' +
        '(else a restart may help), is it ready (degraded is)',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { exitCodeOf, health, status } = await import('../agent/monitoring/status.ts');
    const launch = launchOf(args, invocation);
    if (args.check !== undefined) {
      const answer = await health(launch, args.check, stopSignal());
      invocation.stdout.write(args.json ? `${JSON.stringify(answer)}\n` : healthText(args.check, answer));
      return answer.isOk ? exitCode.done : exitCode.tryAgain;
    }
    const found = await status(launch, stopSignal());
    invocation.stdout.write(args.json ? `${JSON.stringify(found)}\n` : textOf(found));
    return exitCodeOf(found);
  },
});

function healthText(probe: Probe, { isOk, state, failing = 0, reason }: Health): string {
  const parts = failing === 0 ? '' : `, ${failing} failing`;
  const told = [reason, state === undefined ? undefined : `${state}${parts}`].filter(
    (what, index, all) => what !== undefined && all.indexOf(what) === index,
  );
  return `${probe}: ${isOk ? 'yes' : 'no'} (${told.join('; ')})\n`;
}

function textOf(status: AgentStatus): string {
  const { credentials, config, secrets, deliveries, consumers, events } = status;
  const sections = [
    rowsText([
      ['state', stateText(status)],
      ...status.failing.map((what): [string, string] => ['failing', what]),
      ['host', `${status.name} (${status.hostId ?? 'no id yet'})`],
      ...logRows(status),
      ['version', `${status.version}, pid ${status.pid}, since ${status.startedAt}`],
      ['credentials', credentialsText(credentials)],
      ...certificateRows(status.certificate),
      ...clockRows(status.clockSkewSeconds),
      ...(config === undefined ? [] : configRows(config)),
      ...copyRows(status.configCopy),
    ]),
  ];
  if (secrets.length > 0) {
    const rows = secrets.map(({ name, source, version, failing }) => [
      name,
      source,
      version ?? '-',
      failing ?? 'ok',
    ]);
    sections.push(tableText(['SECRET', 'SOURCE', 'VERSION', 'STATE'], rows));
  }
  if (deliveries.length > 0) {
    const rows = deliveries.map((each) => [
      each.delivery,
      each.secret,
      each.deliveredAt ?? '-',
      each.failing ?? 'ok',
    ]);
    sections.push(tableText(['DELIVERY', 'SECRET', 'DELIVERED', 'STATE'], rows));
  }
  if (consumers.length > 0) sections.push(...consumerSections(status));
  if (events !== undefined) sections.push(...eventSections(events));
  return sections.join('\n');
}

function stateText({ state, waitsFor }: AgentStatus): string {
  if (waitsFor === undefined) return state;
  const { what, since, withinSeconds } = waitsFor;
  return `${state}: waits for ${what} since ${since}, for ${withinSeconds} s at most`;
}

function certificateRows(certificate: AgentStatus['certificate']): [string, string][] {
  if (certificate === undefined) return [];
  const { expires, daysLeft, serialNumber, renewalFailing } = certificate;
  const left = daysLeft < 0 ? 'EXPIRED' : `${daysLeft} days left`;
  const trouble =
    renewalFailing === undefined
      ? ''
      : `; renewal fails since ${renewalFailing.since}: ${renewalFailing.code}`;
  return [['certificate', `until ${expires}, ${left}, serial number ${serialNumber}${trouble}`]];
}

function clockRows(seconds = 0): [string, string][] {
  if (seconds === 0) return [];
  const apart = `${Math.abs(seconds)} s ${seconds > 0 ? 'behind' : 'ahead of'} AWS`;
  return [['clock', `${apart}, corrected for; other programs may be refused`]];
}

function credentialsText(credentials: AgentStatus['credentials']): string {
  const { source, expiration, extendedUntil, isLongTerm, failing, denied } = credentials;
  const end =
    extendedUntil === undefined ? `until ${expiration ?? 'they are replaced'}` : `expired ${expiration}`;
  return [
    source === undefined ? 'none yet' : `${source}, ${end}`,
    ...(extendedUntil === undefined ? [] : [`used on until ${extendedUntil}, for there are no newer ones`]),
    ...(isLongTerm ? ['long-term keys, which a host should not hold'] : []),
    ...(failing === undefined ? [] : [`renewal fails since ${failing.since}: ${failing.code}`]),
    ...(denied === undefined
      ? []
      : [`AWS denies them since ${denied.since}: ${denied.service} ${denied.awsError}`]),
  ].join('; ');
}

/** Only what is not as usual. */
function logRows({ logLevel, monitoring }: AgentStatus): [string, string][] {
  const { level, configured } = logLevel;
  return [
    ...(level === configured
      ? []
      : [['log level', `${level}, configured ${configured}`] as [string, string]]),
    ...(monitoring?.address === undefined ? [] : [['monitoring', monitoring.address] as [string, string]]),
  ];
}

function consumerSections({ consumers, refusedReads }: AgentStatus): string[] {
  const rows = consumers.map(({ name, credentials, ways, reads, failing }) => [
    name,
    ways.map(({ way, address }) => `${way} ${address ?? 'closed'}`).join(', '),
    credentials.expiration ?? '-',
    String(reads),
    failing ?? 'ok',
  ]);
  return [
    tableText(['CONSUMER', 'WAYS', 'CREDENTIALS UNTIL', 'READS', 'STATE'], rows),
    rowsText([['refused', `${refusedReads} requests for credentials`]]),
  ];
}

function configRows(config: NonNullable<AgentStatus['config']>): [string, string][] {
  return [
    ['config', `${config.secretName} version ${config.versionId ?? '-'}, applied ${config.appliedAt ?? '-'}`],
    ...(config.lastKnownGood === undefined
      ? []
      : [['LAST KNOWN GOOD', copyInUseText(config.lastKnownGood)] as [string, string]]),
    ...config.restartNeeded.map((path): [string, string] => ['restart needed', path]),
    ...(config.refused === undefined ? [] : [['config refused', config.refused] as [string, string]]),
  ];
}

function copyInUseText({ sealedAt, key }: { sealedAt: string; key: string }): string {
  const age = durationText(Math.max(0, Date.now() - Date.parse(sealedAt)));
  return `the sealed copy is in use, ${age} old (${sealedAt}, ${key}), until Secrets Manager gives a good version`;
}

/** What it costs when Secrets Manager is away: nothing where the version in use is kept. */
function copyRows(copy: AgentStatus['configCopy']): [string, string][] {
  if (copy === undefined) return [];
  const { versionId, sealedAt, sealedUnder, notKept, failing } = copy;
  const kept =
    versionId === undefined
      ? (notKept ?? 'none yet')
      : `version ${versionId}, sealed ${sealedAt ?? '-'} under ${sealedUnder ?? '-'}`;
  return [['config copy', failing === undefined ? kept : `${kept}; cannot be renewed: ${failing}`]];
}

function eventSections({
  sources,
  spool,
  sent,
  deadLetter,
  dropped = { events: 0, bytes: 0 },
  outdated = { events: 0, bytes: 0 },
  redaction,
  lastError,
  wedgedMs,
}: NonNullable<AgentStatus['events']>): string[] {
  return [
    tableText(
      ['SOURCE', 'EVENTS', 'BYTES', 'BEHIND'],
      sources.map((each) => [each.name, String(each.events), String(each.bytes), String(each.lagBytes)]),
    ),
    rowsText([
      [
        'spool',
        `${spool.batches} batches, ${spool.bytes} of ${spool.bytesMax} bytes, ${spool.isSealed ? 'sealed' : 'in clear'}${spool.isFull ? '; FULL: sources wait' : ''}`,
      ],
      ['sent', `${sent.events} events, ${sent.bytes} bytes; ${sent.refused} refused`],
      ['dead letter', `${deadLetter.events} events`],
      ...(dropped.events === 0
        ? []
        : [
            ['DROPPED', `${dropped.events} events, ${dropped.bytes} bytes, for which there was no room`] as [
              string,
              string,
            ],
          ]),
      ...(outdated.events === 0
        ? []
        : [['outdated', `${outdated.events} events; they are in the dead letter`] as [string, string]]),
      ...(spool.lostBatches === 0
        ? []
        : [
            ['LOST', `${spool.lostEvents} events in ${spool.lostBatches} batches that did not read`] as [
              string,
              string,
            ],
          ]),
      ...(wedgedMs === undefined
        ? []
        : [['WEDGED', `nothing has moved for ${Math.round(wedgedMs / 1000)} s`] as [string, string]]),
      ...(redaction === undefined ? [] : [['redacted', redactionText(redaction)] as [string, string]]),
      ...(lastError === undefined
        ? []
        : [
            ['last error', `${lastError.code} at ${new Date(lastError.atMs).toISOString()}`] as [
              string,
              string,
            ],
          ]),
    ]),
  ];
}

function redactionText({ secrets, leftOut, redacted }: RedactionStatus): string {
  const notLookedFor = Object.entries(leftOut).map(([name, reason]) => `${name} (${reason})`);
  const rest = notLookedFor.length === 0 ? '' : `; not looked for: ${notLookedFor.join(', ')}`;
  return `${redacted} places, ${secrets} secrets looked for${rest}`;
}
