import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { STSClient } from '@aws-sdk/client-sts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { credentialEndpointsConfig } from '../api/config.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { type Consumers, consumers } from './consumers.ts';
import type { Host } from './host.ts';
import { fileDeliveryParts } from './workload-secrets.ts';

const { signal } = new AbortController();
const roleArn = 'arn:aws:iam::123456789012:role/app';
const minuteMs = 60_000;

/** Consumers on a clock that moves when told, in a cloud that lives by the same clock. */
async function setup(
  options: {
    gate?: (sig: AbortSignal) => Promise<void>;
    hostSession?: object;
    /** AWS's time is so far ahead of the host's. */
    awsAheadMs?: number;
  } = {},
) {
  const runtimeDirectory = temporaryDirectory({ tmpfs: true });
  const clock = fakeClock(new Date());
  const { awsAheadMs = 0 } = options;
  const awsClock = { ...clock, now: () => new Date(clock.now().getTime() + awsAheadMs) };
  const sandbox = createSandbox({ now: () => awsClock.now() });
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  sandbox.identities.createRole('app');
  const operator = sandbox.identities.createUser('host');
  const sts = new STSClient({
    endpoint: listener.url,
    region: 'eu-west-1',
    credentials: operator,
    maxAttempts: 1,
  });
  onTestFinished(() => sts.destroy());
  const logged: LogEvent[] = [];
  const reads: object[] = [];
  const redacted: string[] = [];
  const longTerm = {
    accessKeyId: operator.accessKeyId,
    secretAccessKey: Secret.ofText(operator.secretAccessKey),
    source: 'environment',
  };
  const host = {
    region: 'eu-west-1',
    launch: { clock },
    awsClock,
    bootstrap: { config: { name: 'web-1', runtimeDirectory, credentials: {} } },
    recorder: { log: (event: LogEvent) => logged.push(event) },
    credentials: { current: async () => ({ ...longTerm, ...options.hostSession }), state: () => ({}) },
    chain: {},
    aws: {
      async sts() {
        sts.config.systemClockOffset = awsClock.now().getTime() - Date.now();
        return sts;
      },
    },
  } as unknown as Host;
  const own = consumers({
    host,
    reads: { record: (read) => void reads.push(read) },
    gate: options.gate,
    redact: async (name) => void redacted.push(name),
    files: fileDeliveryParts([runtimeDirectory]),
    inherited: new Map(),
  });
  onTestFinished(() => own.close());
  const stop = new AbortController();
  const running = own.run(stop.signal).catch(() => undefined);
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  const configure = (document: object) => own.configure(credentialEndpointsConfig.parse(document), signal);
  const named = (name: string) => logged.filter((event) => event.name === name);
  /** Lets time pass, and every renewal that is due come to its end: its call to the sandbox takes real time. */
  async function live(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      await clock.advance(minuteMs);
      const leftMs = () =>
        Date.parse(own.status().consumers[0]?.credentials.expiration ?? '') - clock.now().getTime();
      while (leftMs() <= 15 * minuteMs) await turn();
    }
  }
  return { own, configure, clock, live, sandbox, runtimeDirectory, logged, named, reads, redacted };
}

function addressOf(own: Consumers, way: string): string {
  const [consumer] = own.status().consumers;
  return consumer?.ways.find((each) => each.way === way)?.address ?? 'closed';
}

async function askContainer(own: Consumers, token: string): Promise<number> {
  const url = `http://${addressOf(own, 'container')}/credentials/app`;
  return (await fetch(url, { headers: { authorization: token } })).status;
}

function askSocket(socketPath: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/credentials' }, (reply) =>
      resolve(json(reply) as Promise<Record<string, unknown>>),
    )
      .on('error', reject)
      .end();
  });
}

describe('a consumer', () => {
  test.each([-2, 2])(
    'of a host whose clock is off by %i hours has credentials, and new ones in time',
    async (hours) => {
      const { configure, runtimeDirectory, sandbox, clock } = await setup({
        awsAheadMs: hours * 60 * minuteMs,
      });

      await configure({ consumers: { app: { roleArn, socket: {} } } });
      const first = await askSocket(join(runtimeDirectory, 'consumers', 'app.sock'));
      const early = sandbox.calls.count({ operation: 'AssumeRole' });
      await clock.advance(51 * minuteMs);

      expect(first).toMatchObject({ AccessKeyId: expect.stringMatching(/^ASIA/u) });
      expect(early).toBe(1);
      // Due by five sixths of the hour, by whichever clock.
      await expect.poll(() => sandbox.calls.count({ operation: 'AssumeRole' })).toBe(2);
    },
  );

  test('gets a new token every six hours, and the one before is good for five minutes more', async () => {
    const { own, configure, live, runtimeDirectory, named } = await setup();
    const path = join(runtimeDirectory, 'tokens', 'app');
    await configure({ containerPort: 0, consumers: { app: { roleArn, tokenFile: { path } } } });
    const first = readFileSync(path, 'utf8');

    await live(6 * 60 - 1);
    expect(readFileSync(path, 'utf8')).toBe(first);
    await live(2);
    await rotated(named);
    const second = readFileSync(path, 'utf8');

    expect([await askContainer(own, first), await askContainer(own, second)]).toEqual([200, 200]);
    await live(6);
    expect([await askContainer(own, first), await askContainer(own, second)]).toEqual([403, 200]);
    expect(named('consumer.token-rotated').map(({ fields }) => fields)).toEqual([{ consumer: 'app' }]);
  });

  test('has credentials that live for a quarter of an hour at least, whenever it asks', async () => {
    const { own, configure, clock, live, sandbox } = await setup();
    await configure({ consumers: { app: { roleArn, socket: {} } } });
    const socket = addressOf(own, 'socket');

    let worstMs = Infinity;
    const keys = new Set<unknown>();
    for (let minute = 0; minute < 5 * 60; minute += 5) {
      await live(5);
      const { Expiration, AccessKeyId } = await askSocket(socket);
      worstMs = Math.min(worstMs, Date.parse(String(Expiration)) - clock.now().getTime());
      keys.add(AccessKeyId);
    }

    expect(worstMs).toBeGreaterThanOrEqual(14 * minuteMs);
    expect(keys.size).toBeGreaterThan(4);
    const answered = sandbox.calls.list({ service: 'sts' }).filter(({ status }) => status === 200);
    expect(answered).toHaveLength(keys.size);
  });

  test('is refused its role first, and gets it once that is mended; its renewal names it in the log', async () => {
    const { own, configure, named, sandbox } = await setup();
    const missing = { roleArn: `${roleArn}2`, socket: {} };
    await configure({ consumers: { app: missing } });
    expect(own.status().consumers[0]?.failing).toBe('CREDENTIALS_ROLE_REFUSED');
    expect(named('credentials.renewal-failed')[0]?.fields).toMatchObject({ consumer: 'app' });

    sandbox.identities.createRole('app2');
    await configure({ consumers: { app: { ...missing, sessionName: 'mended' } } });

    expect(own.status().consumers[0]?.failing).toBeUndefined();
    expect(named('credentials.obtained')[0]?.fields).toMatchObject({ consumer: 'app' });
  });

  test('whose way could not be opened gets it once the reason is gone', async () => {
    const { own, configure, clock, runtimeDirectory, named } = await setup();
    const folder = join(runtimeDirectory, 'tokens');
    writeFileSync(folder, 'in the way');
    const tokenFile = { path: join(folder, 'app') };
    await configure({ containerPort: 0, consumers: { app: { roleArn, tokenFile } } });
    expect(addressOf(own, 'token')).toBe('closed');
    expect(own.status().consumers[0]?.failing).toMatch(/^FILE_/u);

    rmSync(folder);
    mkdirSync(folder, { mode: 0o711 });
    await clock.advance(2 * minuteMs);
    while (addressOf(own, 'token') === 'closed') await turn();

    expect(addressOf(own, 'token')).toBe(tokenFile.path);
    expect(named('consumer.open-failed')).toHaveLength(1);
  });

  test('has its credentials and its token redacted before it gets them, once for each', async () => {
    const { own, configure, runtimeDirectory, redacted } = await setup();
    const tokenFile = { path: join(runtimeDirectory, 'tokens', 'app') };

    await configure({ containerPort: 0, consumers: { app: { roleArn, tokenFile, socket: {} } } });
    expect(redacted).toEqual(['consumer app access token']);
    await Promise.all([1, 2, 3].map(() => askSocket(addressOf(own, 'socket'))));

    expect(redacted.slice(1)).toEqual(['consumer app secret access key', 'consumer app session token']);
  });

  test('has also the credentials of the host redacted before it gets them', async () => {
    const hostSession = {
      sessionToken: Secret.ofText('a session'),
      expiration: new Date(Date.now() + 3_600_000),
    };
    const { own, configure, redacted } = await setup({ hostSession });
    await configure({ consumers: { app: { allowHostRole: true, socket: {} } } });

    expect(await askSocket(addressOf(own, 'socket'))).toMatchObject({ SessionToken: 'a session' });
    expect(redacted).toEqual(['consumer app secret access key', 'consumer app session token']);
  });

  test('is given no long-term keys, whatever the config says', async () => {
    const { own, configure, named, reads } = await setup();
    await configure({ consumers: { app: { allowHostRole: true, socket: {} } } });

    expect(await askSocket(addressOf(own, 'socket'))).toEqual({
      code: 'CONSUMER_CREDENTIALS_NOT_TEMPORARY',
      message: expect.any(String),
    });
    expect(reads).toEqual([]);
    expect(named('consumer.host-role')).toHaveLength(1);
  });

  test('is answered only once its read is on record and the audit lets it pass', async () => {
    const order: string[] = [];
    const { own, configure, reads } = await setup({
      async gate() {
        order.push(`gate after ${reads.length} records`);
        throw new Error('the audit is full');
      },
    });
    await configure({ consumers: { app: { roleArn, socket: {} } } });

    expect(await askSocket(addressOf(own, 'socket'))).toMatchObject({ code: 'DEFECT' });
    expect(order).toEqual(['gate after 1 records']);
    expect(own.status().consumers[0]?.reads).toBe(0);
  });

  test.each(['role', 'mode of its file', 'path of its file'])(
    'has another token with another %s, and the one before is refused at once, whether the new one arrives or not',
    async (what) => {
      const { own, configure, runtimeDirectory, sandbox } = await setup();
      sandbox.identities.createRole('app2');
      const path = join(runtimeDirectory, 'tokens', 'app');
      const tokenFile = { path };
      await configure({ containerPort: 0, consumers: { app: { roleArn, tokenFile } } });
      const first = readFileSync(path, 'utf8');
      expect(await askContainer(own, first)).toBe(200);

      const other = join(runtimeDirectory, 'elsewhere', 'app');
      const next = {
        role: { roleArn: `${roleArn}2`, tokenFile },
        'mode of its file': { roleArn, tokenFile: { path, mode: '0440' } },
        'path of its file': { roleArn, tokenFile: { path: other } },
      }[what];
      await configure({ containerPort: 0, consumers: { app: next } });
      const second = readFileSync(what === 'path of its file' ? other : path, 'utf8');
      expect([await askContainer(own, first), await askContainer(own, second)]).toEqual([403, 200]);

      const blocked = join(runtimeDirectory, 'blocked');
      writeFileSync(blocked, 'in the way');
      const undeliverable = { roleArn, sessionName: 'third', tokenFile: { path: join(blocked, 'app') } };
      await configure({ containerPort: 0, consumers: { app: undeliverable } });
      expect(addressOf(own, 'token')).toBe('closed');
      expect([await askContainer(own, first), await askContainer(own, second)]).toEqual([403, 403]);
    },
  );

  test('keeps its token while only others come and go, and so does the port', async () => {
    const { own, configure, runtimeDirectory } = await setup();
    const app = { roleArn, tokenFile: { path: join(runtimeDirectory, 'tokens', 'app') } };
    const other = { roleArn, tokenFile: { path: join(runtimeDirectory, 'tokens', 'other') } };
    await configure({ containerPort: 0, consumers: { app } });
    const token = readFileSync(app.tokenFile.path, 'utf8');
    const address = addressOf(own, 'container');

    await configure({ containerPort: 0, consumers: { app, other } });
    expect([addressOf(own, 'container'), await askContainer(own, token)]).toEqual([address, 200]);
    const url = `http://${address}/credentials/other`;
    const authorization = readFileSync(other.tokenFile.path, 'utf8');
    expect((await fetch(url, { headers: { authorization } })).status).toBe(200);
    await configure({ containerPort: 0, consumers: { app } });
    expect((await fetch(url, { headers: { authorization } })).status).toBe(403);
  });

  test('that takes the place of another is not there before the way of that one is closed', async () => {
    const { own, configure, sandbox, logged } = await setup();
    sandbox.identities.createRole('app2');
    await configure({ consumers: { app: { roleArn, metadataPort: 0 } } });

    const seen: unknown[] = [];
    logged.push = (event: LogEvent) => {
      if (event.name === 'consumer.closed') seen.push(own.status().consumers.map(({ name }) => name));
      return 0;
    };
    await configure({ consumers: { other: { roleArn: `${roleArn}2`, metadataPort: 0 } } });

    expect(seen).toEqual([['app']]);
    expect(own.status().consumers.map(({ name }) => name)).toEqual(['other']);
  });

  test('that changes hands from one port to the next leaves none open', async () => {
    const { own, configure } = await setup();
    await configure({ consumers: { app: { roleArn, metadataPort: 0 } } });
    const before = addressOf(own, 'metadata');

    await configure({ consumers: { app: { roleArn, socket: {} } } });

    await expect(fetch(`http://${before}/`)).rejects.toThrow('fetch failed');
    expect(addressOf(own, 'metadata')).toBe('closed');
  });
});

/** Waits for the rotation to be over, from which the time of the token before counts: its files take real time. */
async function rotated(named: (name: string) => readonly LogEvent[]): Promise<void> {
  while (named('consumer.token-rotated').length === 0) await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
