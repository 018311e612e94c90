import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createSandbox, type Sandbox } from '../sandbox.ts';
import { type AgentLine, runToEnd, startAgent } from './child.ts';
import { type Operator, operatorOf } from './operator.ts';
import { createStory, type Story } from './story.ts';

export interface DemoOptions {
  /** How to start Gatehouse: program and first arguments. */
  readonly agent: readonly string[];
  write(text: string): void;
  readonly colour: boolean;
}

const orderCount = 20_000;
const logGroup = '/gatehouse/web-1';
const secretName = 'prod/gatehouse/web';
const bindingKey = 'alias/gatehouse-binding';
const workload = fileURLToPath(new URL('workload.ts', import.meta.url));

/** The host of the story: its folders, and what it starts with. */
interface DemoHost {
  /** What would outlive a reboot: config, state, sealed files, logs. */
  readonly disk: string;
  /** In memory: sockets and delivered secrets. */
  readonly memory: string;
  readonly isInMemory: boolean;
  readonly configFile: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The main job, end to end, against the sandbox. Resolves with an exit code: 0 only when everything was verified. */
export async function demo(options: DemoOptions): Promise<number> {
  const story = createStory((text) => options.write(text), options.colour);
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  const operator = operatorOf(sandbox, listener.url);
  const host = newHost(listener.url);
  try {
    await tell(story, { options, sandbox, operator, host, url: listener.url });
  } finally {
    operator.close();
    await listener.close();
    rmSync(host.disk, { recursive: true, force: true });
    rmSync(host.memory, { recursive: true, force: true });
  }
  return conclude(story, options);
}

interface Scene {
  readonly options: DemoOptions;
  readonly sandbox: Sandbox;
  readonly operator: Operator;
  readonly host: DemoHost;
  readonly url: string;
}

async function tell(story: Story, scene: Scene): Promise<void> {
  const { options, sandbox, operator, host, url } = scene;
  const secrets = { password: randomValue(), newPassword: randomValue(), tlsKey: randomValue() };
  const gatehouse = (args: readonly string[], stdin?: string) =>
    runToEnd([...options.agent, ...args], { ...host.env, ...operator.env }, stdin);

  story.step('A local AWS starts');
  story.say(
    `${url}, account ${sandbox.accountId}, ${sandbox.region}: it verifies every signature and keeps AWS’s limits.`,
  );

  story.step('The operator prepares it, once');
  await operator.createKey(bindingKey);
  story.say(`KMS: a binding key, ${bindingKey}.`);
  await operator.createSecret('prod/database', JSON.stringify({ user: 'app', password: secrets.password }));
  story.say('Secrets Manager: prod/database, with a password in it.');
  const sealedFile = join(host.disk, 'tls-key.sealed');
  const sealing = [
    'seal',
    '--name',
    'tls-key',
    '--in',
    '-',
    '--out',
    sealedFile,
    '--wrap',
    'kms',
    '--key-id',
    bindingKey,
  ];
  const sealed = await gatehouse(sealing, secrets.tlsKey);
  story.check(
    sealed.code === 0,
    `A TLS key sealed under KMS into ${sealedFile} (${sizeOf(sealedFile)} bytes).`,
  );
  await operator.createSecret(secretName, JSON.stringify(gatewayConfig(host, sealedFile)));
  story.say(
    `Secrets Manager: ${secretName}, the gateway config: two secrets, two deliveries, two event sources.`,
  );

  story.step('A host boots, with this file and no secret in it');
  story.show(readFileSync(host.configFile, 'utf8'));
  story.say('Its only identity is its instance role, from EC2 metadata (IMDSv2).');

  story.step('gatehouse run');
  const seen: string[] = [];
  await using agent = startAgent([...options.agent, 'run', '--config', host.configFile], host.env, (line) => {
    seen.push(JSON.stringify(line));
    if (shownEvents.has(line.event)) story.show(summaryOf(line));
  });
  await agent.event('agent.ready');

  story.step('A program reads its password from a file and writes a log');
  const passwordFile = join(host.memory, 'secrets', 'database-password');
  const logFile = join(host.disk, 'log', 'orders.log');
  const worked = await runToEnd(
    [process.execPath, workload, passwordFile, logFile, String(orderCount)],
    host.env,
  );
  story.show(worked.stdout + worked.stderr);
  story.check(
    worked.stdout.includes(fingerprint(secrets.password)),
    'It is the password of Secrets Manager.',
  );

  story.step('The operator changes the password; the host follows');
  await operator.putSecret('prod/database', JSON.stringify({ user: 'app', password: secrets.newPassword }));
  const delivered = agent.event('delivery.written');
  agent.kill('SIGHUP');
  await delivered;
  story.check(
    fingerprint(readFileSync(passwordFile)) === fingerprint(secrets.newPassword),
    'SIGHUP: the file holds the new password. (Without it the schedule does this within five minutes.)',
  );

  story.step('Ask the agent');
  const whoami = await runToEnd([...options.agent, 'whoami', '--config', host.configFile], host.env);
  story.show(`$ gatehouse whoami\n${whoami.stdout}${whoami.stderr}`);
  await allShipped(operator);
  const status = await runToEnd([...options.agent, 'status', '--config', host.configFile], host.env);
  story.show(`$ gatehouse status\n${status.stdout}${status.stderr}`);
  story.check(status.code === 0, 'status: exit code 0.');

  story.step('SIGTERM: it drains and goes');
  agent.kill('SIGTERM');
  const ended = await agent.ended;
  story.check(ended.code === 0, `The agent drained its spool and exited with ${ended.code}.`);

  story.step('Checked, not claimed');
  const orders = await operator.messages(logGroup, 'orders');
  const inOrder = orders.filter((message, index) =>
    message.startsWith(`order ${index} accepted "grüße"`),
  ).length;
  story.check(
    orders.length === orderCount && inOrder === orderCount,
    `CloudWatch Logs has ${inOrder} of ${orderCount} lines in order, through a rotation, none twice.`,
  );
  const audit = await operator.messages(logGroup, 'agent');
  story.check(audit.length > 0, `The audit stream has ${audit.length} records: ${auditNames(audit)}.`);
  const verified = await gatehouse(['audit', 'verify', '--log-group', logGroup, '--log-stream', 'agent']);
  story.show(`$ gatehouse audit verify\n${verified.stdout}${verified.stderr}`);
  story.check(
    verified.code === 0,
    'The audit chain is whole: none missing, changed, repeated or out of order.',
  );
  const file = statSync(passwordFile);
  story.check(
    (file.mode & 0o777) === 0o400,
    `The password file has mode 0400${host.isInMemory ? ' and is in memory only' : ''}.`,
  );
  const everything = [
    ...diskFiles(host.disk),
    ...audit,
    ...orders,
    ...seen,
    ended.stderr,
    status.stdout,
    whoami.stdout,
  ];
  const found = Object.values(secrets).filter((value) => everything.some((text) => text.includes(value)));
  story.check(
    found.length === 0,
    `No secret in clear in ${diskFiles(host.disk).length} files on the disk, in the log, or in what was shipped.`,
  );
  const refused = sandbox.calls.list().filter(({ status: code }) => code !== undefined && code >= 500).length;
  story.check(
    refused === 0 && sandbox.defects.length === 0,
    `The sandbox verified ${sandbox.calls.list().length} calls.`,
  );
}

const shownEvents = new Set([
  'agent.starting',
  'credentials.obtained',
  'config.applied',
  'key.resolved',
  'secret.read',
  'delivery.written',
  'agent.ready',
]);

/** Ids and fields of an event that say something to a reader; times and versions do not. */
function summaryOf({ event, message, ...fields }: AgentLine): string {
  const shown = ['source', 'secretName', 'secret', 'keyArn', 'file', 'state', 'startMs']
    .filter((name) => fields[name] !== undefined)
    .map((name) => `${name}=${String(fields[name])}`);
  return [event.padEnd(22), message, ...shown].join(' ');
}

function newHost(url: string): DemoHost {
  const disk = mkdtempSync(join(tmpdir(), 'gatehouse-demo-'));
  const isInMemory = existsSync('/dev/shm');
  const memory = mkdtempSync(join(isInMemory ? '/dev/shm' : tmpdir(), 'gatehouse-demo-'));
  mkdirSync(join(disk, 'log'));
  const configFile = join(disk, 'config.json');
  const config = {
    name: 'web-1',
    region: 'eu-west-1',
    gatewayConfig: { secretName },
    stateDirectory: join(disk, 'state'),
    runtimeDirectory: memory,
    allow: { deliverTo: [memory], readFrom: [join(disk, 'log')] },
  };
  writeFileSync(configFile, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
  const env = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    AWS_ENDPOINT_URL: url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
  };
  return { disk, memory, isInMemory, configFile, env };
}

function gatewayConfig(host: DemoHost, sealedFile: string): object {
  const delivery = (secret: string) => ({
    secret,
    file: join(host.memory, 'secrets', secret),
    mode: '0400',
    ...(host.isInMemory ? {} : { allowDisk: true }),
  });
  return {
    version: 1,
    keys: { bindingKey },
    secrets: {
      'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
      'tls-key': { sealedFile },
    },
    deliveries: [delivery('database-password'), delivery('tls-key')],
    events: {
      logGroup: '/gatehouse/{name}',
      sources: { orders: { files: [join(host.disk, 'log', '*.log')] }, agent: { audit: true } },
    },
  };
}

const shippedWithinMs = 120_000;

/** Waits until the last line arrived, or gives up: the checks at the end say what is missing then. */
async function allShipped(operator: Operator): Promise<void> {
  const until = Date.now() + shippedWithinMs;
  while (Date.now() < until && (await operator.messages(logGroup, 'orders')).length < orderCount)
    await timeout(200);
}

function conclude(story: Story, options: DemoOptions): number {
  if (story.failures.length > 0) {
    options.write(
      `\n${story.failures.length} of the checks did not hold:\n${story.failures.map((text) => `  ${text}\n`).join('')}`,
    );
    return 1;
  }
  options.write(`
Everything above really happened, over HTTP, with signatures verified. Try next:
  npm run -s gatehouse -- sandbox                  a local AWS for your own experiments
  npm run -s gatehouse -- --help                   every command
  npm run -s gatehouse -- config schema gateway    what a gateway config may say
  npm test                                         how we know
`);
  return 0;
}

function randomValue(): string {
  return randomBytes(24).toString('base64url');
}

function fingerprint(value: string | Buffer): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 12);
}

function sizeOf(file: string): number {
  return existsSync(file) ? statSync(file).size : 0;
}

/** Every file below a folder, as one character a byte. */
function diskFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
}

function auditNames(audit: readonly string[]): string {
  return [...new Set(audit.map(eventOf))].join(', ');
}

function eventOf(record: string): string {
  const { event }: AgentLine = JSON.parse(record);
  return event;
}
