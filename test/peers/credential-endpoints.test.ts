import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { built } from '../support/agent.ts';
import { setup } from '../support/host.ts';
import { arePeersMissing, peerProgram } from './support/peer.ts';
import { peerEnvironment, runPeerIn } from './support/run-peer.ts';

const script = join(import.meta.dirname, 'say_who_with_boto3.py');
/** A life that can be waited for; SDKs ask again and again for credentials that live for so short a time. */
const hostSeconds = 60;
const patienceMs = 110_000;

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
  it.each(ways)('is its consumer by way of %s: boto3, and the AWS CLI', async (way) => {
    const { environmentOf } = await consumerHost();
    const env = environmentOf('app', way);

    const boto3 = startBoto3(env);
    expect((await boto3.who()).arn).toBe('arn:aws:sts::123456789012:assumed-role/app/app@web-1');
    const cli = await runPeerIn('aws', ['--output', 'json', 'sts', 'get-caller-identity'], env);
    expect(cli).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(cli.stdout)).toMatchObject({ Arn: expect.stringContaining(':assumed-role/app/') });
  });

  it('goes on working by each way while the credentials of its host are renewed', async () => {
    const { environmentOf } = await consumerHost();
    const until = performance.now() + patienceMs;

    const keysOf = async (way: Way): Promise<number> => {
      const env = environmentOf('whole', way);
      let boto3 = startBoto3(env);
      const keys = new Set<string>();
      while (keys.size < 2 && performance.now() < until) {
        // It puts off the end of credentials from instance metadata that live for less than 20 minutes, by as much.
        if (way === 'metadata') boto3 = startBoto3(env);
        keys.add((await boto3.who()).key);
        const cli = await runPeerIn('aws', ['sts', 'get-caller-identity'], env);
        expect(cli).toMatchObject({ exitCode: 0, stderr: '' });
      }
      return keys.size;
    };

    expect(await Promise.all(ways.map(keysOf))).toEqual([2, 2, 2]);
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
