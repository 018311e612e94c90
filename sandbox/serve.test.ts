import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromHttp } from '@aws-sdk/credential-provider-http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../test/support/temporary-directory.ts';
import { SandboxError } from './sandbox-error.ts';
import { type Served, type ServeOptions, serve } from './serve.ts';

/** Starts a sandbox and waits for its first line. */
async function started(options: Partial<ServeOptions> = {}) {
  const stopping = new AbortController();
  const lines: string[] = [];
  let done: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    const write = (line: string): void => {
      lines.push(line);
      // Everything is written in one go.
      queueMicrotask(resolve);
    };
    done = serve({ port: 0, tls: false, json: false, write, ...options }, stopping.signal);
    done.catch(reject);
  });
  const stop = async (): Promise<void> => {
    stopping.abort();
    await done;
  };
  onTestFinished(stop);
  const served = () => JSON.parse(lines[0] ?? '') as Served;
  return { lines, served, stop };
}

function client(environment: Readonly<Record<string, string>>): STSClient {
  const ca = environment['AWS_CA_BUNDLE'];
  return new STSClient({
    endpoint: environment['AWS_ENDPOINT_URL'] ?? '',
    region: environment['AWS_REGION'] ?? '',
    credentials: {
      accessKeyId: environment['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: environment['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
    ...(ca === undefined ? {} : { requestHandler: { httpsAgent: { ca: readFileSync(ca, 'utf8') } } }),
  });
}

describe('gatehouse sandbox', () => {
  it('prints export lines that point every SDK at it', async () => {
    const { lines } = await started();

    const environment = Object.fromEntries(
      lines.map((line) => /^export (?<name>[A-Z0-9_]+)='(?<value>[^']*)'$/u.exec(line)?.slice(1) ?? []),
    );

    expect(Object.keys(environment)).toEqual([
      'AWS_ENDPOINT_URL',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_EC2_METADATA_SERVICE_ENDPOINT',
    ]);
    const { Arn } = await client(environment).send(new GetCallerIdentityCommand({}));
    expect(Arn).toBe('arn:aws:iam::123456789012:user/sandbox');
  });

  it('prints one JSON line with how to be an instance, a container and an administrator', async () => {
    const { lines, served } = await started({ json: true, region: 'us-west-2' });
    const { endpoint, region, instance, container, admin } = served();

    expect(lines).toHaveLength(1);
    expect(region).toBe('us-west-2');
    expect(instance.environment).not.toHaveProperty('AWS_ACCESS_KEY_ID');
    expect(instance.environment['AWS_EC2_METADATA_SERVICE_ENDPOINT']).toBe(endpoint);
    const credentials = await fromHttp({
      awsContainerCredentialsFullUri: container.environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '',
      awsContainerAuthorizationTokenFile:
        container.environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] ?? '',
    })();
    expect(credentials.accessKeyId).toMatch(/^ASIA/u);
    const calls = await fetch(`${admin.url}/calls`, { headers: { 'x-sandbox-token': admin.token } });
    expect(await calls.json()).toMatchObject({ calls: [{ service: 'container-credentials', status: 200 }] });
  });

  it('serves TLS with a CA in a file that is gone afterwards, and metadata beside it in plain', async () => {
    const { served, stop } = await started({ json: true, tls: true });
    const { environment } = served();
    const ca = environment['NODE_EXTRA_CA_CERTS'] ?? '';
    const metadata = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? '';

    const { Account } = await client(environment).send(new GetCallerIdentityCommand({}));
    const token = await fetch(`${metadata}/latest/api/token`, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' },
    });
    const plain = await fetch(`${metadata}/?Action=GetCallerIdentity`);

    expect(environment['AWS_ENDPOINT_URL']).toMatch(/^https:/u);
    expect(Account).toBe('123456789012');
    expect([token.status, plain.status]).toEqual([200, 404]);
    expect(existsSync(ca)).toBe(true);
    await stop();
    expect(existsSync(ca)).toBe(false);
  });

  it('starts with the faults of a file', async () => {
    const faultsFile = join(temporaryDirectory(), 'faults.json');
    writeFileSync(
      faultsFile,
      '{"faults":[{"service":"sts","effect":{"kind":"error","name":"Away","status":400}}]}',
    );
    const { served } = await started({ json: true, faultsFile });

    await expect(client(served().environment).send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({
      name: 'Away',
    });
  });

  it('keeps state only when asked, readable by its owner only', async () => {
    const stateFile = join(temporaryDirectory(), 'state.json');
    const first = await started({ json: true, stateFile });
    const { environment } = first.served();
    expect(existsSync(stateFile)).toBe(false);
    await first.stop();

    const second = await started({ json: true, stateFile });
    const endpoint = second.served().environment['AWS_ENDPOINT_URL'] ?? '';
    const { Arn } = await client({ ...environment, AWS_ENDPOINT_URL: endpoint }).send(
      new GetCallerIdentityCommand({}),
    );

    expect(Arn).toBe('arn:aws:iam::123456789012:user/sandbox');
    // oxlint-disable-next-line no-bitwise -- a file mode is bits
    expect(statSync(stateFile).mode & 0o777).toBe(0o600);
  });

  it('refuses files it cannot use and an address in use, with typed errors, and leaves them as they are', async () => {
    const directory = temporaryDirectory();
    const damaged = join(directory, 'state.json');
    writeFileSync(damaged, '{"version":1');
    const none = join(directory, 'none.json');
    const { served } = await started({ json: true });
    const code = (options: Partial<ServeOptions>) =>
      started(options).then(
        () => 'started',
        (error: unknown) => (error instanceof SandboxError ? error.code : error),
      );

    expect(await code({ stateFile: damaged })).toBe('SANDBOX_STATE_DAMAGED');
    expect(await code({ stateFile: directory })).toBe('SANDBOX_FILE_UNREADABLE');
    expect(await code({ faultsFile: none })).toBe('SANDBOX_FILE_UNREADABLE');
    expect(await code({ faultsFile: damaged })).toBe('SANDBOX_FAULTS_INVALID');
    expect(await code({ port: Number(new URL(served().endpoint).port) })).toBe('SANDBOX_ADDRESS_IN_USE');
    expect(readFileSync(damaged, 'utf8')).toBe('{"version":1');
  });
});
