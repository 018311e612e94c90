import { once } from 'node:events';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { json, text as textOfStream } from 'node:stream/consumers';
import { setTimeout as timeout } from 'node:timers/promises';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { CreateAliasCommand, CreateKeyCommand, type KeySpec, KMSClient } from '@aws-sdk/client-kms';
import {
  CreateSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { onTestFinished } from 'vitest';
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts';
import { type Finished, gatehouse, type RunningAgent, startAgent } from './agent.ts';
import { canary } from './canary.ts';
import { patienceMs } from './patience.ts';
import { temporaryDirectory } from './temporary-directory.ts';

type Environment = Record<string, string>;

/** A gateway config as a person writes it; tests change single keys of it, to wrong types too. */
export interface GatewayDocument {
  version: unknown;
  keys?: Record<string, unknown>;
  secrets: Record<string, unknown>;
  deliveries: Record<string, unknown>[];
  events?: Record<string, unknown> & { sources: Record<string, unknown> };
  [key: string]: unknown;
}

export interface HostOptions {
  /** Keys of the bootstrap config that differ from the usual. */
  readonly bootstrap?: Record<string, unknown>;
  /** Changes the gateway config before it is stored. */
  readonly gateway?: (document: GatewayDocument) => void;
  /** Stores the gateway config in another form than plain JSON. */
  readonly encode?: (json: string) => string | Uint8Array;
}

export type Host = Awaited<ReturnType<typeof setup>>;

export const gatewaySecret = 'prod/gatehouse/web';
export const bindingKey = 'alias/gatehouse-binding';
export const logGroup = '/gatehouse/web-1';

/** Nobody: a user that every system has and no test runs as. */
export const nobody = 65_534;

/**
 * One host and the AWS it lives in, for a test: the sandbox on a port of its own, with a binding key, the secret
 * `prod/database` and a gateway config that delivers its password and ships `*.log` and the audit; folders for state
 * and logs on the disk and for the runtime in memory; a bootstrap config. All of it is gone when the test is.
 */
export async function setup(options: HostOptions = {}) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const operator = operatorOf(sandbox, listener.url);
  onTestFinished(() => operator.close());

  const disk = temporaryDirectory();
  const runtimeDirectory = temporaryDirectory({ tmpfs: true });
  const stateDirectory = join(disk, 'state');
  const logFolder = join(disk, 'log');
  const logFile = join(logFolder, 'app.log');
  mkdirSync(logFolder);
  const password = canary('database password', { plain: true });
  const passwordFile = join(runtimeDirectory, 'secrets', 'database-password');

  await operator.createKey(bindingKey);
  await operator.createSecret('prod/database', JSON.stringify({ user: 'app', password: password.value }));
  const document: GatewayDocument = {
    version: 1,
    keys: { bindingKey },
    secrets: {
      'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
    },
    deliveries: [{ secret: 'database-password', file: passwordFile }],
    events: { sources: { app: { files: [join(logFolder, '*.log')] }, agent: { audit: true } } },
  };
  options.gateway?.(document);
  await operator.createSecret(
    gatewaySecret,
    options.encode?.(JSON.stringify(document)) ?? JSON.stringify(document),
  );

  const configFile = join(disk, 'config.json');
  const bootstrap = {
    name: 'web-1',
    region: sandbox.region,
    gatewayConfig: { secretName: gatewaySecret },
    stateDirectory,
    runtimeDirectory,
    allow: { readFrom: [logFolder] },
    // Time to ship all of it, on a busy machine too. A stop that cannot end before is given less by its test.
    stopTimeoutSeconds: patienceMs / 1000,
    ...options.bootstrap,
  };
  writeFileSync(configFile, JSON.stringify(bootstrap), { mode: 0o600 });

  /** What a host of this cloud has in its environment: where AWS is. Its identity is its instance role. */
  const env: Environment = {
    AWS_ENDPOINT_URL: listener.url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: listener.url,
  };

  const host = {
    sandbox,
    url: listener.url,
    operator,
    /** A folder on the disk, with everything of the host that is on one: config.json, state, log. */
    disk,
    stateDirectory,
    runtimeDirectory,
    logFolder,
    logFile,
    configFile,
    bootstrap,
    env,
    /** The password in `prod/database`, and where it is delivered. */
    password,
    passwordFile,

    /** Starts `gatehouse run`; `environment` is added to the host's own, and undefined takes away. */
    start(environment: Record<string, string | undefined> = {}): RunningAgent {
      return startAgent(['--config', configFile], merged(env, environment));
    },

    /** Starts the agent and waits until it is ready. */
    async started(environment: Record<string, string | undefined> = {}): Promise<RunningAgent> {
      const agent = host.start(environment);
      await agent.event('agent.ready');
      return agent;
    },

    /** Runs another command on this host to its end. */
    run(args: readonly string[], stdin?: string | Buffer): Promise<Finished> {
      return gatehouse([...args, '--config', configFile], {
        env,
        ...(stdin === undefined ? {} : { stdin }),
      });
    },

    /** What the agent says of itself on `control.sock`, which is what `gatehouse status --json` prints. */
    status: () => askControl(join(runtimeDirectory, 'control.sock')),

    /** What `control.sock` answers to a GET, as text. */
    asked: (path: string) => textOf(join(runtimeDirectory, 'control.sock'), path),

    /** The ARN of the key that an alias is for. */
    keyArn: (alias: string): string =>
      sandbox.state.kms.aliases.values().find(({ name }) => name === alias)?.targetKeyArn ?? '',

    /** Seals a secret under the binding key, as the operator does it; returns the file. */
    async seal(name: string, value: string): Promise<string> {
      const file = join(disk, `${name}.sealed`);
      const args = ['--name', name, '--in', '-', '--out', file, '--wrap', 'kms', '--key-id', bindingKey];
      const { code, stderr } = await gatehouse(['seal', ...args], {
        env: { ...env, ...operator.env },
        stdin: value,
      });
      if (code !== 0) throw new Error(`sealing failed: ${stderr}`);
      return file;
    },

    /** Stores another version of the gateway config: the one of `setup`, changed. */
    async putGateway(change: (document: GatewayDocument) => void): Promise<void> {
      const next = structuredClone(document);
      change(next);
      await operator.putSecret(gatewaySecret, JSON.stringify(next));
    },

    /** Appends lines to the log that source `app` ships. */
    log(lines: readonly string[], file = logFile): void {
      appendFileSync(file, lines.map((line) => `${line}\n`).join(''));
    },

    /** What CloudWatch Logs has of a stream, in the order of arrival: one list per PutLogEvents. */
    batches(stream = 'app', group = logGroup): readonly (readonly string[])[] {
      const { batches = [] } = sandbox.state.logs.groups[group]?.streams[stream] ?? {};
      return batches.map(({ text, ends }) => ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end)));
    },

    messages(stream = 'app', group = logGroup): readonly string[] {
      return host.batches(stream, group).flat();
    },

    /** Audit records that arrived. */
    audit(): readonly AuditDocument[] {
      return host.messages('agent').map((message) => JSON.parse(message) as AuditDocument);
    },

    /** How many messages a stream has. */
    count(stream = 'app', group = logGroup): number {
      return sandbox.state.logs.groups[group]?.streams[stream]?.eventCount ?? 0;
    },

    /** Waits until a stream has so many messages, or more, and returns them. */
    async arrived(count: number, stream = 'app'): Promise<readonly string[]> {
      await eventually(`${count} messages in ${stream}`, () => host.count(stream) >= count);
      return host.messages(stream);
    },

    /** Waits until a stream has so many messages, however often each came, and returns them. */
    arrivedOnce(count: number, stream = 'app'): Promise<ReadonlySet<string>> {
      return eventually(`${count} messages in ${stream}, each once at least`, () => {
        if (host.count(stream) < count) return undefined;
        const messages = new Set(host.messages(stream));
        return messages.size >= count ? messages : undefined;
      });
    },

    /** Waits until source `app` has read so many lines since the agent's start, and all of them are in its spool. */
    async spooled(count: number): Promise<void> {
      await eventually(`${count} lines in the spool`, async () => {
        const app = (await host.status()).events?.sources.find(({ name }) => name === 'app');
        return app !== undefined && app.events >= count && app.waitingEvents === 0;
      });
    },

    /** Waits until a fault has befallen somebody. */
    struck(id: string): Promise<unknown> {
      const hits = () => sandbox.faults.list().find((fault) => fault.id === id)?.hits ?? 0;
      return eventually(`${id} has befallen a call`, () => hits() > 0);
    },

    /** The delivered file's content, or undefined while there is none. */
    delivered(file = passwordFile): string | undefined {
      try {
        return readFileSync(file, 'utf8');
      } catch {
        return undefined;
      }
    },
  };
  return host;
}

export interface AuditDocument {
  readonly time: string;
  readonly event: string;
  readonly outcome: string;
  readonly fields: Record<string, unknown>;
}

/** The parts of `status --json` that tests look at. */
export interface StatusDocument {
  readonly state: string;
  readonly failing: readonly string[];
  readonly pid: number;
  readonly hostId: string;
  readonly credentials: { readonly source?: string; readonly accessKeyId?: string };
  readonly config?: {
    readonly versionId?: string;
    readonly restartNeeded: readonly string[];
    readonly refused?: string;
  };
  readonly configCopy?: { readonly versionId?: string };
  readonly secrets: readonly { readonly name: string; readonly failing?: string }[];
  readonly events?: {
    readonly spool: { readonly isSealed: boolean; readonly batches: number };
    readonly sources: readonly {
      readonly name: string;
      readonly events: number;
      readonly waitingEvents: number;
    }[];
    readonly audit: readonly { readonly sequence?: number; readonly hash?: string }[];
  };
}

/** Lines that tell their number, from `first` on. */
export function numbered(count: number, first = 0): readonly string[] {
  return Array.from({ length: count }, (_line, index) => `line ${first + index} of a program`);
}

const rolesAnywhereArn = (kind: string): string =>
  `arn:aws:rolesanywhere:eu-west-1:123456789012:${kind}/0f9f4d1c-5a9a-4b5e-9d0e-2f6f0c9f8a11`;

/** `credentials.rolesAnywhere` of the bootstrap config, with what it names in a folder. */
export function rolesAnywhereOf(folder: string, helper: string): Record<string, string> {
  return {
    trustAnchorArn: rolesAnywhereArn('trust-anchor'),
    profileArn: rolesAnywhereArn('profile'),
    roleArn: 'arn:aws:iam::123456789012:role/GatehouseHost',
    certificate: join(folder, 'certificate.pem'),
    privateKey: join(folder, 'private-key.pem'),
    helper,
  };
}

/** What aws_signing_helper prints: credentials of a role session, in the form of credential_process. */
export function helperOutput({ identities }: Sandbox): string {
  const session = identities.issueSession({
    role: 'GatehouseHost',
    sessionName: 'certificate',
    durationSeconds: 3600,
  });
  return JSON.stringify({
    Version: 1,
    AccessKeyId: session.accessKeyId,
    SecretAccessKey: session.secretAccessKey,
    SessionToken: session.sessionToken,
    Expiration: session.expiration.toISOString(),
  });
}

const pollMs = 20;

/** Asks until `probe` answers with something, for what says nothing when it happens. Bounded. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > until) throw new Error(`not within ${patienceMs / 1000} s: ${what}`);
    await timeout(pollMs);
  }
}

/** An administrator with keys of his own, acting through the official SDK. */
function operatorOf(sandbox: Sandbox, endpoint: string) {
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('operator');
  const config = { endpoint, region: sandbox.region, credentials: { accessKeyId, secretAccessKey } };
  const dynamodb = new DynamoDBClient(config);
  const kms = new KMSClient(config);
  const secretsManager = new SecretsManagerClient(config);
  const logs = new CloudWatchLogsClient(config);

  return {
    kms,
    secretsManager,
    logs,
    /** What the operator's own shell has set, beside what the host has. */
    env: {
      AWS_REGION: sandbox.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    },
    /** Makes a key with an alias, symmetric unless its spec is another; returns its ARN. */
    async createKey(alias: string, KeySpec: KeySpec = 'SYMMETRIC_DEFAULT'): Promise<string> {
      const command = new CreateKeyCommand({ KeySpec, KeyUsage: 'ENCRYPT_DECRYPT' });
      const { KeyMetadata: key } = await kms.send(command);
      await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: key?.KeyId }));
      return key?.Arn ?? '';
    },
    async createSecret(name: string, value: string | Uint8Array): Promise<void> {
      await secretsManager.send(new CreateSecretCommand({ Name: name, ...valueOf(value) }));
    },
    async putSecret(name: string, value: string | Uint8Array): Promise<void> {
      await secretsManager.send(new PutSecretValueCommand({ SecretId: name, ...valueOf(value) }));
    },
    /** Makes a table for a registry of master keys. */
    async createKeysTable(name: string): Promise<void> {
      const keys = ['agent', 'item'];
      await dynamodb.send(
        new CreateTableCommand({
          TableName: name,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: keys.map((key) => ({ AttributeName: key, AttributeType: 'S' })),
          KeySchema: keys.map((key, index) => ({
            AttributeName: key,
            KeyType: index === 0 ? 'HASH' : 'RANGE',
          })),
        }),
      );
      // It is being made until it is asked for.
      await dynamodb.send(new DescribeTableCommand({ TableName: name }));
      await dynamodb.send(new DescribeTableCommand({ TableName: name }));
    },
    /** Leases a host's master key, as another operator's command would. */
    async leaseKeys(table: string, agent: string, holder: string, until: Date): Promise<void> {
      const Item = {
        agent: { S: agent },
        item: { S: 'lease' },
        holder: { S: holder },
        until: { N: String(until.getTime()) },
      };
      await dynamodb.send(new PutItemCommand({ TableName: table, Item }));
    },
    /** Puts what is to be a host's first master key into a registry, as whoever may write there could. */
    async putMasterKey(table: string, agent: string, wrapped: Uint8Array): Promise<void> {
      const texts = { state: 'current', bindingKeyArn: '', algorithm: '', fingerprint: '', changedBy: '' };
      const attributes = Object.entries(texts).map(([name, S]) => [name, { S }] as const);
      const Item = {
        agent: { S: agent },
        item: { S: 'generation#000000001' },
        changedAt: { S: '2026-01-01T00:00:00.000Z' },
        wrapped: { B: wrapped },
        ...Object.fromEntries(attributes),
      };
      await dynamodb.send(new PutItemCommand({ TableName: table, Item }));
    },
    close(): void {
      for (const client of [dynamodb, kms, secretsManager, logs]) client.destroy();
    },
  };
}

function valueOf(value: string | Uint8Array) {
  return typeof value === 'string' ? { SecretString: value } : { SecretBinary: value };
}

async function askControl(socketPath: string): Promise<StatusDocument> {
  const [response] = (await once(get({ socketPath, path: '/status' }), 'response')) as [IncomingMessage];
  return (await json(response)) as StatusDocument;
}

async function textOf(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  const [response] = (await once(get({ socketPath, path }), 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await textOfStream(response) };
}

function merged(env: Environment, changes: Record<string, string | undefined>): Environment {
  const all = Object.entries({ ...env, ...changes });
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
