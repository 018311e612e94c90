import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { json, text } from 'node:stream/consumers';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromHttp } from '@aws-sdk/credential-provider-http';
import { fromInstanceMetadata } from '@smithy/credential-provider-imds';
import { describe, expect, onTestFinished, test } from 'vitest';
import { built, gatehouse } from '../support/agent.ts';
import { eventually, type GatewayDocument, type HostOptions, nobody, setup } from '../support/host.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const roleArn = 'arn:aws:iam::123456789012:role/app';

interface ConsumerDocument {
  readonly name: string;
  readonly reads: number;
  readonly failing?: string;
  readonly credentials: { readonly accessKeyId?: string; readonly failing?: { readonly code: string } };
  readonly ways: readonly { readonly way: string; readonly address?: string; readonly failing?: string }[];
}

/** A host with consumers; every way is on a port that the system chooses. */
async function consumerHost(
  consumers: (runtimeDirectory: string) => Record<string, object>,
  options: HostOptions & { allow?: object } = {},
) {
  const host = await setup({
    ...options,
    bootstrap: {
      allow: { consumerRoles: [`${roleArn}*`], consumerHostRole: true, listenPorts: [0], ...options.allow },
    },
  });
  for (const role of ['app', 'app-other']) host.sandbox.identities.createRole(role);
  const configure = (named: Record<string, object>) =>
    host.putGateway((document: GatewayDocument) => {
      delete document.events;
      document['credentialEndpoints'] = { containerPort: 0, consumers: named };
    });
  await configure(consumers(host.runtimeDirectory));

  const status = async () =>
    (await host.status()) as unknown as {
      state: string;
      failing: string[];
      consumers: ConsumerDocument[];
      refusedReads: number;
    };
  const address = async (name: string, way: string): Promise<string> => {
    const found = (await status()).consumers.find((each) => each.name === name);
    return found?.ways.find((each) => each.way === way)?.address ?? 'closed';
  };
  return {
    ...host,
    configure,
    consumerStatus: status,
    address,
    started: async () => {
      const agent = host.start({ GATEHOUSE_LOG_LEVEL: 'debug' });
      await agent.event('agent.ready');
      return agent;
    },
  };
}

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** Who AWS says the bearer is. */
async function whoHas(endpoint: string, credentials: Keys | (() => Promise<Keys>)): Promise<string> {
  const client = new STSClient({ endpoint, region: 'eu-west-1', credentials });
  onTestFinished(() => client.destroy());
  return (await client.send(new GetCallerIdentityCommand({}))).Arn ?? '';
}

function askSocket(socketPath: string, path = '/credentials'): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, (reply) => resolve(json(reply) as Promise<Record<string, unknown>>))
      .on('error', reject)
      .end();
  });
}

describe('a consumer', () => {
  test('gets a role of its own over its token, its socket and its port, and the AWS SDK takes it', async () => {
    const { started, url, address, consumerStatus } = await consumerHost((runtime) => ({
      app: {
        roleArn,
        tokenFile: { path: join(runtime, 'tokens', 'app') },
        socket: {},
        metadataPort: 0,
      },
    }));
    const agent = await started();
    const container = await address('app', 'container');
    const metadata = await address('app', 'metadata');
    const tokenFile = await address('app', 'token');
    const socket = await address('app', 'socket');

    const byToken = fromHttp({
      awsContainerCredentialsFullUri: `http://${container}/credentials/app`,
      awsContainerAuthorizationTokenFile: tokenFile,
    });
    expect(await whoHas(url, byToken)).toBe('arn:aws:sts::123456789012:assumed-role/app/app@web-1');

    const before = process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
    process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = `http://${metadata}`;
    onTestFinished(() => {
      process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = before ?? '';
    });
    expect(await whoHas(url, fromInstanceMetadata())).toContain(':assumed-role/app/');

    const printed = await askSocket(socket);
    const keys = {
      accessKeyId: String(printed['AccessKeyId']),
      secretAccessKey: String(printed['SecretAccessKey']),
      sessionToken: String(printed['SessionToken']),
    };
    expect(await whoHas(url, keys)).toContain(':assumed-role/app/');
    expect(printed['Version']).toBe(1);

    expect(statSync(tokenFile).mode & 0o777).toBe(0o400);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const [status] = (await consumerStatus()).consumers;
    expect(status).toMatchObject({ name: 'app', reads: 3 });
    expect((await agent.stop()).code).toBe(0);
  });

  test('is on record by name, once for each set of credentials, and its refusals too', async () => {
    const { started, address, consumerStatus } = await consumerHost((runtime) => ({
      app: { roleArn, tokenFile: { path: join(runtime, 'tokens', 'app') } },
      other: { roleArn: `${roleArn}-other`, tokenFile: { path: join(runtime, 'tokens', 'other') } },
    }));
    const agent = await started();
    const url = `http://${await address('app', 'container')}/credentials`;
    const token = readFileSync(await address('app', 'token'), 'utf8');
    const ask = (name: string, headers: Record<string, string>) => fetch(`${url}/${name}`, { headers });

    const good = await Promise.all([1, 2, 3].map(() => ask('app', { authorization: token })));
    const bad = [
      await ask('other', { authorization: token }),
      await ask('other', { authorization: token }),
      await ask('app', { authorization: token, 'x-forwarded-for': '10.0.0.1' }),
      await ask('app', { authorization: token, origin: 'http://example.com' }),
      await ask('app', {}),
    ];

    expect(good.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(bad.map(({ status }) => status)).toEqual([403, 403, 403, 403, 401]);
    const { consumers, refusedReads } = await consumerStatus();
    expect(consumers.map(({ name, reads }) => [name, reads])).toEqual([
      ['app', 3],
      ['other', 0],
    ]);
    expect(refusedReads).toBe(5);
    const said = (name: string) => agent.lines().filter(({ event }) => event === name);
    await eventually('the log says each', () => said('consumer.refused').length >= 4 || undefined);
    expect(said('consumer.read')).toMatchObject([
      { consumer: 'app', what: 'credentials', version: expect.any(String) },
    ]);
    expect(said('consumer.refused').map(({ reason, consumer }) => [reason, consumer])).toEqual([
      ['wrong token', 'other'],
      ['forwarded', undefined],
      ['web page', undefined],
      ['no token', 'app'],
    ]);
  });

  test('is answered from memory while AWS is away, and a first that fails is tried again', async () => {
    const { started, sandbox, address, consumerStatus } = await consumerHost(() => ({
      app: { roleArn, socket: {} },
      other: { roleArn: `${roleArn}-none`, socket: {} },
    }));
    await started();
    // The start waits for neither longer than five seconds.
    await eventually('credentials of one, and the refusal of the other', async () => {
      const [app, other] = (await consumerStatus()).consumers;
      return (app?.credentials.accessKeyId !== undefined && other?.failing !== undefined) || undefined;
    });
    sandbox.faults.add({ service: 'sts', effect: { kind: 'cut' } });

    expect(await askSocket(await address('app', 'socket'))).toMatchObject({ Version: 1 });
    expect(await askSocket(await address('other', 'socket'))).toEqual({
      code: 'CREDENTIALS_ROLE_REFUSED',
      message: 'AWS does not let this host assume the role',
    });
    const { state, failing } = await consumerStatus();
    expect({ state, failing }).toEqual({ state: 'degraded', failing: ['consumer other'] });
  });

  test('under a session policy has less than the host, whose own role it is', async () => {
    const statement = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
    const { started, url, address } = await consumerHost(() => ({
      narrow: { sessionPolicy: { Version: '2012-10-17', Statement: [statement] }, socket: {} },
      whole: { allowHostRole: true, socket: {} },
    }));
    const agent = await started();
    const keysOf = async (name: string) => {
      const printed = await askSocket(await address(name, 'socket'));
      return {
        AWS_ACCESS_KEY_ID: String(printed['AccessKeyId']),
        AWS_SECRET_ACCESS_KEY: String(printed['SecretAccessKey']),
        AWS_SESSION_TOKEN: String(printed['SessionToken']),
      };
    };

    const [narrow, whole] = [await keysOf('narrow'), await keysOf('whole')];

    const arnOf = (keys: typeof narrow) =>
      whoHas(url, {
        accessKeyId: keys.AWS_ACCESS_KEY_ID,
        secretAccessKey: keys.AWS_SECRET_ACCESS_KEY,
        sessionToken: keys.AWS_SESSION_TOKEN,
      });
    expect(await arnOf(narrow)).toContain(':assumed-role/GatehouseHost/narrow@web-1');
    expect(await arnOf(whole)).toContain(':assumed-role/GatehouseHost/i-');
    expect(await mayReadSecrets(url, narrow)).toBe('AccessDeniedException');
    expect(await mayReadSecrets(url, whole)).toBe('allowed');
    expect(await agent.event('consumer.host-role')).toMatchObject({ consumer: 'whole', level: 'warn' });
  });

  test('comes and goes with the config while the agent runs, and takes its token and socket with it', async () => {
    const { started, configure, consumerStatus, address, runtimeDirectory } = await consumerHost(
      (runtime) => ({
        app: { roleArn, socket: {}, tokenFile: { path: join(runtime, 'tokens', 'app') } },
      }),
    );
    const agent = await started();
    const first = (await consumerStatus()).consumers[0]?.credentials.accessKeyId;
    const [token, socket] = [await address('app', 'token'), await address('app', 'socket')];

    await configure({ app: { roleArn, socket: {} }, other: { roleArn, socket: { mode: '0660' } } });
    agent.kill('SIGHUP');
    await agent.event('config.applied', ({ changed }) => (changed as string[]).length > 0);

    const { consumers } = await consumerStatus();
    expect(consumers.map(({ name, ways }) => [name, ways.map(({ way }) => way)])).toEqual([
      ['app', ['socket']],
      ['other', ['socket']],
    ]);
    expect(consumers[0]?.credentials.accessKeyId).toBe(first);
    expect(await address('app', 'socket')).toBe(socket);
    expect(() => statSync(token)).toThrow('ENOENT');
    await configure({});
    agent.kill('SIGHUP');
    await eventually('no consumers', async () =>
      (await consumerStatus()).consumers.length === 0 ? true : undefined,
    );
    expect(readdirSync(join(runtimeDirectory, 'consumers'))).toEqual([]);
    await agent.stop();
  });

  test('whose way cannot be opened leaves the agent degraded, and the others served', async () => {
    const { started, address, consumerStatus } = await consumerHost((runtime) => ({
      app: { roleArn, socket: {} },
      other: { roleArn, tokenFile: { path: join(runtime, 'tokens', 'other'), owner: 'nobody-of-that-name' } },
    }));
    const agent = await started();

    expect(await agent.event('consumer.open-failed')).toMatchObject({
      consumer: 'other',
      way: 'token',
      error: { code: 'OWNER_UNKNOWN' },
    });
    expect(await askSocket(await address('app', 'socket'))).toMatchObject({ Version: 1 });
    const { failing, consumers } = await consumerStatus();
    expect(failing).toEqual(['consumer other']);
    expect(consumers[1]?.failing).toBe('OWNER_UNKNOWN');
  });
});

test('a socket that systemd opened is served by the agent, and refused once its consumer has left', async () => {
  const fixture = await consumerHost(() => ({ app: { roleArn, socket: {} } }));
  const path = join(fixture.runtimeDirectory, 'app-of-systemd.sock');
  const agent = await startActivated(path, ['run', '--config', fixture.configFile], fixture.env);
  await eventually('an agent that is ready', async () =>
    (await fixture.consumerStatus().catch(() => undefined))?.state === 'ready' ? true : undefined,
  );

  expect(await askSocket(path)).toMatchObject({ Version: 1 });
  expect(await fixture.address('app', 'socket')).toBe('file descriptor 3');
  await fixture.configure({});
  process.kill(agent, 'SIGHUP');
  await eventually('a refusal', async () =>
    (await askSocket(path))['code'] === 'ConsumerUnknown' ? true : undefined,
  );
});

describe('credential-process', () => {
  test('prints what the agent has for a consumer, and says why it has none', async () => {
    const { started, url, runtimeDirectory } = await consumerHost(() => ({
      app: { roleArn, socket: {} },
      other: { roleArn: `${roleArn}-none`, socket: {} },
    }));
    await started();
    const env = { GATEHOUSE_RUNTIME_DIRECTORY: runtimeDirectory };
    const run = (name: string) => gatehouse(['credential-process', '--consumer', name, '--json'], { env });

    const [app, other, nobodys] = [await run('app'), await run('other'), await run('nobody')];

    expect(app).toMatchObject({ code: 0, stderr: '' });
    const printed: Record<string, string> = JSON.parse(app.stdout);
    const keys = {
      accessKeyId: printed['AccessKeyId'] ?? '',
      secretAccessKey: printed['SecretAccessKey'] ?? '',
      sessionToken: printed['SessionToken'] ?? '',
    };
    expect(await whoHas(url, keys)).toContain(':assumed-role/app/');
    expect(other).toMatchObject({ code: 69, stdout: '' });
    expect(JSON.parse(other.stderr)).toMatchObject({
      error: { code: 'CONSUMER_NOT_SERVED', details: { reason: 'CREDENTIALS_ROLE_REFUSED' } },
    });
    expect(JSON.parse(nobodys.stderr)).toMatchObject({ error: { code: 'CONSUMER_SOCKET_MISSING' } });
  });

  test('with the flags of AWS’s helper is answered by the agent for just its session, else signs itself', async () => {
    const host = await setup({ bootstrap: { allow: { consumerHostRole: true } } });
    const { sandbox, runtimeDirectory } = host;
    const folder = temporaryDirectory();
    const { identity } = await rolesAnywhereHost(sandbox, folder);
    const credentials = { source: 'roles-anywhere', rolesAnywhere: identity };
    writeFileSync(host.configFile, JSON.stringify({ ...host.bootstrap, credentials }));
    await host.putGateway((document) => {
      delete document.events;
      document['credentialEndpoints'] = { consumers: { whole: { allowHostRole: true, socket: {} } } };
    });
    const agent = await host.started();
    const flags = [
      ['--certificate', identity.certificate],
      ['--private-key', identity.privateKey],
      ['--trust-anchor-arn', identity.trustAnchorArn],
      ['--profile-arn', identity.profileArn],
      ['--role-arn', identity.roleArn],
    ].flat();
    const user = { AWS_ENDPOINT_URL: host.url, GATEHOUSE_RUNTIME_DIRECTORY: runtimeDirectory };
    const run = async (more: readonly string[], env = user) => {
      sandbox.calls.clear();
      const { code, stdout, stderr } = await gatehouse(['credential-process', ...flags, ...more], { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const { AccessKeyId } = JSON.parse(stdout) as { AccessKeyId: string };
      return { AccessKeyId, calls: sandbox.calls.list({ service: 'rolesanywhere' }).length };
    };

    // One that the agent does not answer within two seconds is signed without it.
    const same = await eventually('a session from the agent', async () => {
      const answered = await run([]);
      return answered.calls === 0 ? answered : undefined;
    });
    const shorter = await run(['--session-duration', '900']);
    const elsewhere = await run([], { ...user, GATEHOUSE_RUNTIME_DIRECTORY: folder });
    await agent.stop();
    const alone = await run([]);

    const { accessKeyId } = await agent.event('credentials.obtained');
    expect(same).toEqual({ AccessKeyId: accessKeyId, calls: 0 });
    for (const own of [shorter, elsewhere, alone]) {
      expect(own).toEqual({ AccessKeyId: expect.not.stringContaining(String(accessKeyId)), calls: 1 });
    }
  });
});

test.runIf(process.getuid?.() === 0)(
  'another user opens nobody’s socket and reads nobody’s token',
  async () => {
    const { started, address, runtimeDirectory } = await consumerHost((runtime) => ({
      app: {
        roleArn,
        socket: { owner: String(nobody), mode: '0600' },
        tokenFile: { path: join(runtime, 'tokens', 'app'), owner: String(nobody) },
      },
    }));
    await started();
    chmodSync(runtimeDirectory, 0o755);
    const [socket, token] = [await address('app', 'socket'), await address('app', 'token')];
    const asUser = async (uid: number): Promise<string> => {
      const source = `
      const { readFileSync } = require('node:fs');
      let token = 'read';
      try { readFileSync(process.argv[2]); } catch (error) { token = error.code; }
      require('node:net').connect(process.argv[1])
        .on('connect', function () { console.log(token, 'connected'); this.destroy(); })
        .on('error', (error) => console.log(token, error.code));`;
      const child = spawn(process.execPath, ['-e', source, socket, token], {
        uid,
        gid: uid,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return (await text(child.stdout)).trim();
    };

    expect(await asUser(nobody)).toBe('read connected');
    expect(await asUser(nobody - 1)).toBe('EACCES EACCES');
  },
);

test('no token and no key is in a log, and none outlives the agent', async () => {
  const { started, address, runtimeDirectory } = await consumerHost((runtime) => ({
    app: { roleArn, socket: {}, tokenFile: { path: join(runtime, 'tokens', 'app') } },
  }));
  const agent = await started();
  const token = readFileSync(await address('app', 'token'), 'utf8');
  const printed = await askSocket(await address('app', 'socket'));

  const { stderr, stdout } = await agent.stop();

  for (const secret of [token, String(printed['SecretAccessKey']), String(printed['SessionToken'])]) {
    expect(secret.length).toBeGreaterThan(20);
    expect(stderr + stdout).not.toContain(secret);
  }
  expect(readdirSync(join(runtimeDirectory, 'tokens'))).toEqual([]);
});

/** The error's name, or that it was allowed. */
async function mayReadSecrets(
  endpoint: string,
  keys: { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string; AWS_SESSION_TOKEN: string },
): Promise<string> {
  const { ListSecretsCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient({
    endpoint,
    region: 'eu-west-1',
    credentials: {
      accessKeyId: keys.AWS_ACCESS_KEY_ID,
      secretAccessKey: keys.AWS_SECRET_ACCESS_KEY,
      sessionToken: keys.AWS_SESSION_TOKEN,
    },
  });
  onTestFinished(() => client.destroy());
  return client.send(new ListSecretsCommand({})).then(
    () => 'allowed',
    (error: unknown) => (error instanceof Error ? error.name : 'unknown'),
  );
}

/**
 * Starts the program as systemd does with a socket: it is descriptor 3, and LISTEN_PID is who gets it. Who opened it
 * then does nothing any more, for it would accept connections too. Resolves with the process id of the program.
 */
async function startActivated(
  path: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const opener = `
    const [path, ...command] = process.argv.slice(1);
    const server = require('node:net').createServer().listen(path, () => {
      const { pid } = require('node:child_process').spawn(
        '/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', process.execPath, ...command],
        { stdio: ['ignore', 'ignore', 'ignore', server._handle.fd] });
      require('node:fs').writeSync(1, pid + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', opener, path, built, ...argv], {
    env: { ...env, PATH: '/usr/bin:/bin', LISTEN_FDS: '1', LISTEN_FDNAMES: 'consumer-app' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const pid = Number(line);
  onTestFinished(() => void process.kill(pid, 'SIGKILL'));
  return pid;
}
