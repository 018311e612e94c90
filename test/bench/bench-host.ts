import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts';
import { type Child, startNode } from './child.ts';
import type { Program } from './program.ts';

const bindingKey = 'alias/gatehouse-binding';
const deliveriesMax = 50;
const gatewaySecret = 'prod/gatehouse/web';

export interface BenchHostOptions {
  /** Secrets in sealed files. Names are short: a gateway config has 64 KiB, and each is in it. */
  readonly sealedFiles?: number;
  /** They are under a master key that a KMS key of this kind wraps; else each is under a symmetric key itself. */
  readonly masterKeyUnder?: 'SYMMETRIC_DEFAULT' | 'RSA_2048';
  /** Where CloudWatch Logs is; in the sandbox where absent. */
  readonly logsUrl?: string;
  /** Authorities to trust instead of Node's own, a file. */
  readonly caBundle?: string | undefined;
  /** Keys of the source `app`, beside its files. */
  readonly app?: Readonly<Record<string, unknown>>;
  /** Keys of `events`, beside its sources. */
  readonly events?: Readonly<Record<string, unknown>>;
  /** So many secrets more, which redaction looks for. */
  readonly secretsMany?: number;
  /** Only a gateway config: no secret, no delivery, no events. */
  readonly isBare?: boolean;
  /** A consumer `app` with a role of its own, and every way to its credentials; ports are the system's choice. */
  readonly hasConsumer?: boolean;
}

/** A host as operators have it, with the sandbox for its AWS. */
export interface BenchHost {
  readonly sandbox: Sandbox;
  readonly logFolder: string;
  readonly runtimeDirectory: string;
  readonly stateDirectory: string;
  readonly controlSocket: string;
  /** A folder on a disk, for whatever else. */
  readonly disk: string;
  /** Starts the agent; `nodeOptions` go before the program. */
  start(nodeOptions?: readonly string[]): Child;
  /** Runs a command of the operator's, with these options of Node; what it writes to stdout is dropped. */
  operate(nodeOptions: readonly string[], ...args: readonly string[]): Promise<{ readonly stderr: string }>;
  /** Starts it and waits until it is ready; resolves with when that was. */
  started(): Promise<{ readonly agent: Child; readonly readyMs: number }>;
}

export const readyLine = '"event":"agent.ready"';

/** Makes a host for one program: state directories are not shared, for their format may differ. */
export async function benchHost(
  program: Program,
  options: BenchHostOptions,
  opened: AsyncDisposableStack,
): Promise<BenchHost> {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  opened.defer(() => listener.close());
  const disk = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  const runtimeDirectory = mkdtempSync('/dev/shm/gatehouse-bench-');
  const stateDirectory = join(disk, 'state');
  const logFolder = join(disk, 'log');
  for (const folder of [disk, runtimeDirectory]) {
    opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  }
  mkdirSync(logFolder);

  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('operator');
  const awsConfig = {
    endpoint: listener.url,
    region: sandbox.region,
    credentials: { accessKeyId, secretAccessKey },
  };
  const env = {
    ...program.env,
    AWS_ENDPOINT_URL: listener.url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: listener.url,
    // As systemd gives it with CacheDirectory=: see systemd/gatehouse.service.
    CACHE_DIRECTORY: join(disk, 'cache'),
    ...(options.caBundle === undefined ? {} : { AWS_CA_BUNDLE: options.caBundle }),
    ...(options.logsUrl === undefined ? {} : { AWS_ENDPOINT_URL_CLOUDWATCH_LOGS: options.logsUrl }),
  };
  mkdirSync(env.CACHE_DIRECTORY, { mode: 0o700 });
  const entry = join(program.dist, 'gatehouse.mjs');

  const consumers = options.hasConsumer === true ? withConsumer(sandbox, runtimeDirectory) : undefined;
  const configFile = join(disk, 'config.json');
  const bootstrap = {
    name: 'web-1',
    region: sandbox.region,
    gatewayConfig: { secretName: gatewaySecret },
    stateDirectory,
    runtimeDirectory,
    allow: { readFrom: [logFolder], ...consumers?.allow },
  };
  writeFileSync(configFile, JSON.stringify(bootstrap), { mode: 0o600 });

  const operate: BenchHost['operate'] = async (nodeOptions, ...args) => {
    const argv = [...nodeOptions, entry, ...args, '--config', configFile];
    const operator = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const child = spawn(process.execPath, argv, {
      env: { ...env, ...operator },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}:\n${stderr}`);
    return { stderr };
  };
  const { masterKeyUnder } = options;
  /** Seals each into a file of its own, in one process. */
  const seal = async (names: readonly string[]): Promise<Record<string, { sealedFile: string }>> => {
    const entries = names.map((name) => ({ name, in: `${name}.txt`, out: name }));
    for (const { name, in: input } of entries) {
      const value = `the value of ${name}, as long as a password is`;
      writeFileSync(join(disk, input), value, { mode: 0o600 });
    }
    const manifest = join(disk, 'manifest.json');
    writeFileSync(manifest, JSON.stringify({ secrets: entries }));
    const wrap = masterKeyUnder === undefined ? ['--wrap', 'kms', '--key-id', bindingKey] : [];
    if (names.length > 0) await operate([], 'seal', '--manifest', manifest, ...wrap);
    return Object.fromEntries(entries.map(({ name, out }) => [name, { sealedFile: join(disk, out) }]));
  };

  const kms = new KMSClient(awsConfig);
  const secretsManager = new SecretsManagerClient(awsConfig);
  const store = (name: string, value: unknown): Promise<unknown> =>
    secretsManager.send(new CreateSecretCommand({ Name: name, SecretString: JSON.stringify(value) }));
  const spec = { KeySpec: masterKeyUnder ?? 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' } as const;
  const { KeyMetadata: key } = await kms.send(new CreateKeyCommand(spec));
  await kms.send(new CreateAliasCommand({ AliasName: bindingKey, TargetKeyId: key?.KeyId }));
  await store('prod/database', { user: 'app', password: 'correct horse battery staple' });
  if (masterKeyUnder !== undefined) await operate([], 'master-key', 'create', '--key-id', bindingKey);
  const sealed = await seal(Array.from({ length: options.sealedFiles ?? 0 }, (_each, index) => `s${index}`));
  const many: Record<string, unknown> = {};
  for (let index = 0; index < (options.secretsMany ?? 0); index += 1) {
    await store(`prod/many-${index}`, { value: randomBytes(24).toString('base64') });
    many[`many-${index}`] = { secretsManager: { secretId: `prod/many-${index}`, jsonField: 'value' } };
  }
  const secrets = {
    'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
    ...sealed,
    ...many,
  };
  // For the same reason not each of a thousand.
  const delivered = Object.keys(secrets).slice(0, deliveriesMax);
  const usual = {
    keys: { bindingKey },
    secrets,
    deliveries: delivered.map((secret) => ({
      secret,
      file: join(runtimeDirectory, 'secrets', secret),
    })),
    events: {
      ...options.events,
      sources: { app: { files: [join(logFolder, '*.log')], ...options.app }, agent: { audit: true } },
    },
  };
  await store(gatewaySecret, {
    version: 1,
    ...(options.isBare === true ? {} : usual),
    ...consumers?.gateway,
  });
  for (const client of [kms, secretsManager]) client.destroy();

  const start = (nodeOptions: readonly string[] = []): Child =>
    startNode([...program.nodeFlags, ...nodeOptions, entry, 'run', '--config', configFile], env);
  return {
    sandbox,
    logFolder,
    runtimeDirectory,
    stateDirectory,
    controlSocket: join(runtimeDirectory, 'control.sock'),
    disk,
    operate,
    start,
    async started() {
      const agent = start();
      const { atMs } = await agent.line(readyLine);
      return { agent, readyMs: atMs };
    },
  };
}

function withConsumer(sandbox: Sandbox, runtimeDirectory: string) {
  const { arn: roleArn } = sandbox.identities.createRole('app');
  const app = {
    roleArn,
    socket: {},
    metadataPort: 0,
    tokenFile: { path: join(runtimeDirectory, 'tokens', 'app') },
  };
  return {
    gateway: { credentialEndpoints: { containerPort: 0, consumers: { app } } },
    allow: { consumerRoles: [roleArn], listenPorts: [0] },
  };
}
