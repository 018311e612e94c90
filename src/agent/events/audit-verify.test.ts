import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  PutRetentionPolicyCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import { operatorLaunch } from '../../../test/support/operator-launch.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import {
  type ChainHead,
  firstLink,
  hashed,
  headLine,
  membersIn,
  nextLink,
} from '../../events/audit/chain.ts';
import { type AuditVerifyRequest, auditVerify } from './audit-verify.ts';

const never = new AbortController().signal;
const logGroup = '/gatehouse/web-1';
const hostId = 'host-1';

async function setup() {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const listener = await sandbox.listen();
  const credentials = sandbox.identities.createUser('auditor');
  const config = { region: 'eu-west-1', endpoint: listener.url, credentials };
  const client = new CloudWatchLogsClient(config);
  const secrets = new SecretsManagerClient(config);
  onTestFinished(async () => {
    client.destroy();
    secrets.destroy();
    await listener.close();
  });
  const launch = operatorLaunch({
    folder: temporaryDirectory(),
    url: listener.url,
    credentials,
    bootstrap: { name: 'web-1', gatewayConfig: { secretName: 'gateway' } },
  });
  await client.send(new CreateLogGroupCommand({ logGroupName: logGroup }));

  return {
    client,
    secrets,
    /** Makes a stream of these messages, one a millisecond. */
    put: async (
      logStream: string,
      messages: readonly string[],
      sinceMs = Date.now() - 10_000,
    ): Promise<void> => {
      const place = { logGroupName: logGroup, logStreamName: logStream };
      await client.send(new CreateLogStreamCommand(place));
      if (messages.length === 0) return;
      const logEvents = messages.map((message, index) => ({ timestamp: sinceMs + index, message }));
      await client.send(new PutLogEventsCommand({ ...place, logEvents }));
    },
    verify: (request: Partial<AuditVerifyRequest> = {}) =>
      auditVerify(launch, { logGroup, logStream: 'agent', heads: [], ...request }, never),
    close: () => listener.close(),
  };
}

function chainOf(count: number) {
  const time = new Date().toISOString();
  const lines: string[] = [];
  const heads: ChainHead[] = [];
  let linked = firstLink('chain-1', time, { hostId, name: 'web-1', source: 'agent' });
  for (let sequence = 0; sequence < count; sequence += 1) {
    if (sequence > 0) linked = nextLink(linked.head, { time, event: 'secret.read', fields: { sequence } });
    lines.push(linked.line);
    heads.push(linked.head);
  }
  const headsUpTo = (sequence: number): string[] =>
    heads.slice(0, sequence + 1).map((head) => headLine({ head, hostId, time, lost: 0, everyMinutes: 15 }));
  return { lines, heads, headsUpTo };
}

describe('read back from CloudWatch Logs', () => {
  test('a whole chain is unbroken', async () => {
    const { put, verify } = await setup();
    const { lines, headsUpTo } = chainOf(20);
    await put('agent', lines);
    await put('agent.heads', headsUpTo(19));

    expect(await verify()).toMatchObject([
      { logGroup, logStream: 'agent', isUnbroken: true, records: 20, findings: [] },
    ]);
  });

  test('each record dropped, changed, replaced, swapped or repeated in turn is found', async () => {
    const { put, verify } = await setup();
    const count = 8;
    const { lines, headsUpTo } = chainOf(count);
    const tamperings: Record<string, (at: number) => string[]> = {
      dropped: (at) => lines.toSpliced(at, 1),
      changed: (at) =>
        lines.with(at, lines[at]?.replace('success', 'failure').replace('secret.read', 'x') ?? ''),
      replaced: (at) => lines.with(at, hashed({ ...membersIn(lines[at] ?? ''), time: 'never' }).line),
      swapped: (at) => lines.toSpliced(at, 2, lines[at + 1] ?? lines[0] ?? '', lines[at] ?? ''),
      repeated: (at) => lines.toSpliced(at, 0, lines[at] ?? ''),
    };
    const found: string[] = [];

    for (const [how, tamper] of Object.entries(tamperings)) {
      for (let at = 0; at < count; at += 1) {
        const logStream = `${how}-${at}`;
        await put(logStream, tamper(at));
        await put(`${logStream}.heads`, headsUpTo(count - 1));
        const [verdict] = await verify({ logStream });
        found.push(
          `${logStream}: ${verdict?.isUnbroken} ${verdict?.findings.map(({ kind }) => kind).join(' ')}`,
        );
      }
    }

    const all = (how: string, said: string, from = 0, to = count) =>
      Array.from({ length: to - from }, (_, index) => `${how}-${from + index}: ${said}`);
    expect(found).toEqual([
      ...all('dropped', 'false missing'),
      ...all('changed', 'false changed'),
      ...all('replaced', 'false unlinked head-contradicted', 0, count - 1),
      ...all('replaced', 'false head-contradicted', count - 1),
      ...all('swapped', 'false out-of-order', 0, count - 1),
      // The last one has no neighbour: a copy of the first in its place.
      ...all('swapped', 'true repeated', count - 1),
      ...all('repeated', 'true repeated'),
    ]);
  });

  test('an end that was cut off is found as far as heads reach, and further with one from elsewhere', async () => {
    const { put, verify } = await setup();
    const { lines, heads, headsUpTo } = chainOf(10);
    await put('agent', lines.slice(0, 6));
    await put('agent.heads', headsUpTo(5));

    const [verdict] = await verify();
    const [further] = await verify({ heads: [`9:${heads[9]?.hash}`] });

    expect(verdict).toMatchObject({ isUnbroken: true, chains: [{ last: 5, head: { sequence: 5 } }] });
    expect(further).toMatchObject({ isUnbroken: false, findings: [{ kind: 'head-unknown', sequence: 9 }] });
  });

  test('a stream that was deleted is told by its heads', async () => {
    const { put, verify } = await setup();
    await put('agent.heads', chainOf(5).headsUpTo(4));

    expect(await verify()).toMatchObject([{ isUnbroken: false, findings: [{ kind: 'missing', to: 4 }] }]);
  });

  test('a part of the time, or a group that forgets, lets a chain begin late', async () => {
    const { client, put, verify } = await setup();
    const { lines, headsUpTo } = chainOf(10);
    await put('agent', lines.slice(0, 5), Date.now() - 7_200_000);
    await put('later', lines.slice(5));
    await put('later.heads', headsUpTo(9));

    const whole = await verify({ logStream: 'later' });
    const since = await verify({ logStream: 'later', since: '1h' });
    await client.send(new PutRetentionPolicyCommand({ logGroupName: logGroup, retentionInDays: 30 }));
    const retained = await verify({ logStream: 'later' });

    expect(whole).toMatchObject([{ isUnbroken: false, findings: [{ kind: 'missing', sequence: 0, to: 4 }] }]);
    expect(since).toMatchObject([{ isUnbroken: true, findings: [{ kind: 'begins-late', sequence: 5 }] }]);
    expect(retained).toMatchObject([{ isUnbroken: true, retentionDays: 30 }]);
    await expect(verify({ since: '1h' })).rejects.toMatchObject({ code: 'EVENTS_AUDIT_MISSING' });
  });
});

test('without names, every audit source of the gateway config is verified', async () => {
  const { secrets, put, verify } = await setup();
  const gateway = {
    version: 1,
    events: {
      spool: { allowClearSpool: true },
      sources: { app: { files: ['/var/log/app.log'] }, agent: { audit: true }, second: { audit: true } },
    },
  };
  await secrets.send(new CreateSecretCommand({ Name: 'gateway', SecretString: JSON.stringify(gateway) }));
  const { lines } = chainOf(3);
  await put('agent', lines);
  await put('second', lines.slice(1));

  expect(await verify({ logGroup: undefined, logStream: undefined })).toMatchObject([
    { logGroup, logStream: 'agent', isUnbroken: true },
    { logGroup, logStream: 'second', isUnbroken: false },
  ]);
});

test.each([
  [{ logStream: 'nothing' }, 'EVENTS_AUDIT_MISSING', 66],
  [{ logStream: undefined }, 'USAGE', 64],
  [{ since: 'yesterday' }, 'USAGE', 64],
  [{ heads: ['7'] }, 'USAGE', 64],
])('%o is refused with %s', async (request, code, exitCode) => {
  const { verify } = await setup();

  await expect(verify(request)).rejects.toMatchObject({ code, row: { exitCode } });
});

test('an AWS that is away is out of reach', async () => {
  const { verify, close } = await setup();
  await close();

  await expect(verify()).rejects.toMatchObject({ code: 'EVENTS_UNREACHABLE', row: { exitCode: 69 } });
});
