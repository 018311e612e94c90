import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, gatehouse, type RunningAgent, startAgent } from '../support/agent.ts';
import { type Canary, canary, searchCanaries } from '../support/canary.ts';
import { nobody, numbered } from '../support/host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Moto, startMoto } from './support/moto.ts';
import { arePeersMissing } from './support/peer.ts';
import { runPeer } from './support/run-peer.ts';

const bindingKey = 'alias/gatehouse-binding';
/** What statfs(2) calls a file system in memory. */
const tmpfsMagic = 0x0102_1994;
const own = { uid: process.getuid?.(), gid: process.getgid?.() };
const isRoot = own.uid === 0;

describe.skipIf(arePeersMissing('moto', 'python'))('the built agent, against moto', () => {
  let moto: Moto;

  beforeAll(async () => {
    moto = await startMoto();
  });

  afterAll(() => moto.close());

  it('delivers secrets, and ships 100,000 lines and 10,000 more after a pause, in order and each once', async () => {
    const host = await setup(moto);

    host.log(numbered(100_000));
    const first = await host.run(100_000);
    const shippedFirst = await host.shipped();
    const expectedFirst = linesOf(host.logFile, 100_000);
    host.log(numbered(10_000, 100_000));
    const second = await host.run(10_000);

    expect(shippedFirst).toEqual(expectedFirst);
    expect(await host.shipped()).toEqual(linesOf(host.logFile, 110_000));
    for (const { status, source, delivered, ended } of [first, second]) {
      expect(source).toBe('environment');
      expect(status).toMatchObject({ code: 0, document: { state: 'ready', failing: [] } });
      expect(delivered).toEqual([
        { isPassword: true, mode: 0o440, ...(isRoot ? { uid: nobody, gid: nobody } : own), isInMemory: true },
        { isTlsKey: true, mode: 0o400, ...own, isInMemory: true },
      ]);
      expect(ended.code).toBe(0);
    }
    const { findings, searched } = host.leaks([first.ended, second.ended]);
    expect(findings).toEqual([]);
    expect(searched.places).toEqual(
      expect.arrayContaining([host.sealedFile, expect.stringMatching(/state.*spool/u)]),
    );
  });
});

/** What a file has, as read_with_boto3.py tells it of a stream. */
function linesOf(file: string, lines: number) {
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  return { lines, distinct: lines, sha256 };
}

/** A host of moto's cloud, filled by boto3; `run` is the agent's life from start to SIGTERM. */
async function setup(moto: Moto) {
  const disk = temporaryDirectory();
  const runtimeDirectory = temporaryDirectory({ tmpfs: true });
  const logFolder = join(disk, 'log');
  const logFile = join(logFolder, 'app.log');
  mkdirSync(logFolder);
  const password = canary('database password', { plain: true });
  const tlsKey = canary('tls key');
  const sealedFile = join(disk, 'tls-key.sealed');
  const passwordFile = join(runtimeDirectory, 'secrets', 'database-password');
  const tlsKeyFile = join(runtimeDirectory, 'secrets', 'tls-key');
  const owner = isRoot ? { owner: String(nobody), group: String(nobody) } : {};
  const gateway = {
    version: 1,
    keys: { bindingKey },
    secrets: {
      'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
      'tls-key': { sealedFile },
    },
    deliveries: [
      { secret: 'database-password', file: passwordFile, mode: '0440', ...owner },
      { secret: 'tls-key', file: tlsKeyFile, mode: '0400' },
    ],
    events: {
      logGroup: '/gatehouse/{name}',
      sources: { app: { files: [join(logFolder, '*.log')] }, agent: { audit: true } },
    },
  };
  const configFile = join(disk, 'config.json');
  const bootstrap = {
    name: 'web-1',
    region: moto.region,
    gatewayConfig: { secretName: 'prod/gatehouse/web' },
    stateDirectory: join(disk, 'state'),
    runtimeDirectory,
    allow: { readFrom: [logFolder] },
    stopTimeoutSeconds: 60,
  };
  writeFileSync(configFile, JSON.stringify(bootstrap), { mode: 0o600 });
  const env = {
    AWS_ENDPOINT_URL: moto.endpoint,
    AWS_ACCESS_KEY_ID: moto.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: moto.credentials.secretAccessKey,
  };
  const config = ['--config', configFile];

  const python = async (script: string, ...args: string[]): Promise<unknown> => {
    const file = join(import.meta.dirname, script);
    const { stdout, stderr, exitCode } = await runPeer('python', [file, ...args], moto);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return JSON.parse(stdout);
  };
  const secrets = {
    'prod/database': JSON.stringify({ user: 'app', password: password.value }),
    'prod/gatehouse/web': JSON.stringify(gateway),
  };
  await python('seed_with_boto3.py', JSON.stringify({ alias: bindingKey, secrets }));
  const keyOptions = ['--wrap', 'kms', '--key-id', bindingKey];
  const seal = ['seal', '--name', 'tls-key', '--in', '-', '--out', sealedFile, ...keyOptions, ...config];
  const sealed = await gatehouse(seal, { env, stdin: tlsKey.value });
  expect(sealed).toMatchObject({ code: 0 });

  const status = async () => {
    const { code, stdout } = await gatehouse(['status', '--json', ...config], { env });
    return { code, document: JSON.parse(stdout) as StatusDocument };
  };

  return {
    logFile,
    sealedFile,

    log(lines: readonly string[]): void {
      appendFileSync(logFile, lines.map((line) => `${line}\n`).join(''));
    },

    /** One life of the agent: until it has read so many lines, which SIGTERM then has it send to the last. */
    async run(lines: number) {
      const agent: RunningAgent = startAgent(config, env);
      await agent.event('agent.ready');
      const obtained = await agent.event('credentials.obtained');
      let seen = await status();
      while (!hasRead(seen.document, lines)) {
        await timeout(200);
        seen = await status();
      }
      const delivered = [
        { isPassword: holds(passwordFile, password), ...placeOf(passwordFile) },
        { isTlsKey: holds(tlsKeyFile, tlsKey), ...placeOf(tlsKeyFile) },
      ];
      return { status: seen, source: obtained['source'], delivered, ended: await agent.stop() };
    },

    /** What boto3 finds in the stream. */
    shipped: () => python('read_with_boto3.py', '/gatehouse/web-1', 'app'),

    /** Secrets in what the agent wrote and on the disk. */
    leaks(ended: readonly Finished[]) {
      const written = ended.map(({ stdout, stderr }, life) => [`output of life ${life}`, stdout + stderr]);
      return searchCanaries([password, tlsKey], {
        buffers: Object.fromEntries(written),
        directories: [disk],
      });
    },
  };
}

/** The parts of `status --json` that are looked at here. */
interface StatusDocument {
  readonly state: string;
  readonly failing: readonly string[];
  readonly events?: {
    readonly sources: readonly {
      readonly name: string;
      readonly events: number;
      readonly lagBytes: number;
      readonly waitingEvents: number;
    }[];
  };
}

function hasRead({ events }: StatusDocument, lines: number): boolean {
  const app = events?.sources.find(({ name }) => name === 'app');
  return app !== undefined && app.events >= lines && app.lagBytes === 0 && app.waitingEvents === 0;
}

/** Not the content itself, which a failing test would print. */
function holds(file: string, secret: Canary): boolean {
  return readFileSync(file, 'utf8') === secret.value;
}

function placeOf(file: string) {
  const { mode, uid, gid } = statSync(file);
  return { mode: mode & 0o7777, uid, gid, isInMemory: statfsSync(file).type === tmpfsMagic };
}
