import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromHttp } from '@aws-sdk/credential-provider-http';
import { fromIni } from '@aws-sdk/credential-provider-ini';
import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import { describe, expect, it, onTestFinished } from 'vitest';
import { built } from '../support/agent.ts';
import { setup } from '../support/host.ts';
import { patienceMs } from '../support/patience.ts';
import { arePeersMissing, peerProgram } from './support/peer.ts';
import { peerEnvironment, runPeerIn } from './support/run-peer.ts';

const script = join(import.meta.dirname, 'say_who_with_boto3.py');
/** A life that can be waited for; SDKs ask again and again for credentials that live for so short a time. */
const hostSeconds = 60;

const roleArn = 'arn:aws:iam::123456789012:role/app';

type Environment = Readonly<Record<string, string>>;

/** A host whose own credentials live for seconds, and one consumer for each way to ask for those of the host. */
async function consumerHost() {
  const host = await setup({
    bootstrap: { allow: { consumerRoles: [roleArn], consumerHostRole: true, listenPorts: [0] } },
  });
  host.sandbox.identities.createRole('app');
  host.sandbox.instance.credentialSeconds = hostSeconds;
  const tokenOf = (name: string) => ({ path: join(host.runtimeDirectory, 'tokens', name) });
  await host.putGateway((document) => {
    delete document.events;
    document['credentialEndpoints'] = {
      containerPort: 0,
      consumers: {
        app: { roleArn, socket: {}, metadataPort: 0, tokenFile: tokenOf('app') },
        whole: { allowHostRole: true, socket: {}, metadataPort: 0, tokenFile: tokenOf('whole') },
      },
    };
  });
  await host.started();
  const { consumers } = (await host.status()) as unknown as {
    consumers: { name: string; ways: { way: string; address: string }[] }[];
  };
  const address = (name: string, way: string): string =>
    consumers.find((each) => each.name === name)?.ways.find((each) => each.way === way)?.address ?? '';

  /** What a program needs in its environment for one way, and nothing else. */
  const environmentOf = (name: string, way: Way): Environment => {
    const common = { AWS_ENDPOINT_URL: host.url, AWS_DEFAULT_REGION: 'eu-west-1' };
    if (way === 'metadata') {
      return { ...common, AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${address(name, 'metadata')}/` };
    }
    if (way === 'container') {
      return {
        ...common,
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${address(name, 'container')}/credentials/${name}`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: address(name, 'token'),
      };
    }
    const profiles = join(host.disk, `config-${name}`);
    const command = [process.execPath, built, 'credential-process', '--consumer', name].join(' ');
    writeFileSync(profiles, `[default]\ncredential_process = ${command}\n`);
    return {
      ...common,
      AWS_CONFIG_FILE: profiles,
      GATEHOUSE_RUNTIME_DIRECTORY: host.runtimeDirectory,
    };
  };
  return { host, environmentOf };
}

const ways = ['container', 'metadata', 'socket'] as const;
type Way = (typeof ways)[number];

describe.skipIf(arePeersMissing('python', 'aws'))('a program that knows nothing of Gatehouse', () => {
  it.each(ways)(
    'is its consumer by way of %s: boto3, the AWS CLI, and the SDK for JavaScript',
    async (way) => {
      const { environmentOf } = await consumerHost();
      const env = environmentOf('app', way);

      expect(await javascriptClient(env).arn()).toContain(':assumed-role/app/');
      const boto3 = startBoto3(env);
      expect((await boto3.who()).arn).toBe('arn:aws:sts::123456789012:assumed-role/app/app@web-1');
      const cli = await runPeerIn('aws', ['--output', 'json', 'sts', 'get-caller-identity'], env);
      expect(cli).toMatchObject({ exitCode: 0, stderr: '' });
      expect(JSON.parse(cli.stdout)).toMatchObject({ Arn: expect.stringContaining(':assumed-role/app/') });
    },
  );

  it('goes on working by each way while the credentials of its host are renewed', async () => {
    const { environmentOf } = await consumerHost();
    const until = performance.now() + patienceMs;

    const isRenewed = async (way: Way): Promise<boolean> => {
      const env = environmentOf('whole', way);
      let boto3 = startBoto3(env);
      const javascript = javascriptClient(env);
      const keys = { boto3: new Set<string>(), javascript: new Set<string>() };
      while ((keys.boto3.size < 2 || keys.javascript.size < 2) && performance.now() < until) {
        // It puts off the end of credentials from instance metadata that live for less than 20 minutes, by as much.
        if (way === 'metadata') boto3 = startBoto3(env);
        keys.boto3.add((await boto3.who()).key);
        keys.javascript.add(await javascript.key());
        const cli = await runPeerIn('aws', ['sts', 'get-caller-identity'], env);
        expect(cli).toMatchObject({ exitCode: 0, stderr: '' });
      }
      return keys.boto3.size >= 2 && keys.javascript.size >= 2;
    };

    expect(await Promise.all(ways.map(isRenewed))).toEqual([true, true, true]);
  });
});

/** A boto3 session that lives on, as a program's does. */
function startBoto3(env: Environment): { who(): Promise<{ arn: string; key: string }> } {
  const child: ChildProcess = spawn(peerProgram('python'), [script], {
    env: { ...peerEnvironment, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new TypeError('boto3 was started without pipes');
  const answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    async who() {
      stdin.write('\n');
      const { value, done } = await answers.next();
      if (done === true) throw new Error('boto3 ended');
      return JSON.parse(value) as { arn: string; key: string };
    },
  };
}

/** A client of the AWS SDK for JavaScript that lives on, with the provider that this environment asks for. */
function javascriptClient(env: Environment) {
  const client = new STSClient({
    endpoint: env['AWS_ENDPOINT_URL'] ?? '',
    region: 'eu-west-1',
    credentials: providerFor(env),
    maxAttempts: 1,
  });
  onTestFinished(() => client.destroy());
  return {
    arn: async () => (await client.send(new GetCallerIdentityCommand({}))).Arn,
    async key(): Promise<string> {
      await client.send(new GetCallerIdentityCommand({}));
      return (await client.config.credentials()).accessKeyId;
    },
  };
}

function providerFor(env: Environment) {
  const { AWS_CONTAINER_CREDENTIALS_FULL_URI: uri, AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata } = env;
  if (uri !== undefined) {
    return fromHttp({
      awsContainerCredentialsFullUri: uri,
      awsContainerAuthorizationTokenFile: env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] ?? '',
    });
  }
  // These two read the rest from the environment of their own process.
  const changes =
    metadata === undefined ? { GATEHOUSE_RUNTIME_DIRECTORY: '' } : { AWS_EC2_METADATA_SERVICE_ENDPOINT: '' };
  for (const name of Object.keys(changes)) process.env[name] = env[name];
  if (metadata !== undefined) return fromInstanceMetadata();
  return fromIni({ configFilepath: env['AWS_CONFIG_FILE'] ?? '', ignoreCache: true });
}
