import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Canary, canary, searchCanaries } from '../support/canary.ts';
import {
  eventually,
  type GatewayDocument,
  gatewaySecret,
  type Host,
  helperOutput,
  numbered,
  rolesAnywhereOf,
  setup,
} from '../support/host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('no secret is anywhere but where it was delivered', () => {
  it('through a life with everything going wrong that can', async () => {
    const tlsKey = canary('tls key');
    const mistyped = canary('secret of the wrong type', { plain: true });
    const marker = canary('gateway config', { plain: true });
    const refused = canary('refused gateway config', { plain: true });
    const host = await setup({ bootstrap: { logLevel: 'debug' } });
    const sealedFile = await host.seal('tls-key', tlsKey.value);
    await host.operator.createSecret('prod/other', mistyped.value);
    await host.operator.createSecret('prod/marked', JSON.stringify({ [marker.value]: tlsKey.value }));
    const folder = join(host.runtimeDirectory, 'secrets');
    await host.putGateway(({ secrets, deliveries }) => {
      secrets['tls-key'] = { sealedFile };
      secrets['marked'] = { secretsManager: { secretId: 'prod/marked', jsonField: marker.value } };
      secrets['other'] = { secretsManager: { secretId: 'prod/other', jsonField: 'password' } };
      for (const secret of ['tls-key', 'marked', 'other'])
        deliveries.push({ secret, file: join(folder, secret) });
    });
    host.sandbox.faults.add({ service: 'logs', count: 3, effect: { kind: 'throttle' } });

    const agent = await host.started();
    await host.operator.putSecret(
      gatewaySecret,
      `{"version":1,"secrets":{"${refused.value}":"${refused.value}`,
    );
    agent.kill('SIGHUP');
    await agent.event('config.refused');
    await agent.event('config.last-known-good-kept');
    host.sandbox.identities.expire();
    host.log(numbered(100));
    await host.arrived(100);
    const asked = [
      await host.run(['status', '--json']),
      await host.run(['whoami']),
      await host.run(['config', 'show']),
    ];
    const monitored = [await host.asked('/metrics'), await host.asked('/health/ready')];
    const inProcesses = searchCanaries(credentialsOf(host), { pids: [agent.pid] });
    const ended = await agent.stop();

    const canaries = [host.password, tlsKey, mistyped, marker, refused, ...credentialsOf(host)];
    const { findings, searched } = searchCanaries(canaries, {
      buffers: {
        'stdout of the agent': ended.stdout,
        'stderr of the agent': ended.stderr,
        'output of other commands': asked.map(({ stdout, stderr }) => stdout + stderr).join('\n'),
        'health and metrics': monitored.map(({ body }) => body).join('\n'),
        'CloudWatch Logs': JSON.stringify(host.sandbox.state.logs),
      },
      directories: [host.disk, host.runtimeDirectory],
      except: (path) => path.startsWith(`${folder}/`),
    });
    expect(host.delivered(join(folder, 'marked')) === tlsKey.value).toBe(true);
    expect([...findings, ...inProcesses.findings]).toStrictEqual([]);
    expect(searched.bytes).toBeGreaterThan(20_000);
    expect(searched.places.some((place) => place.startsWith(join(host.stateDirectory, 'spool/')))).toBe(true);
    expect(searched.places).toContain(join(host.stateDirectory, 'last-known-good'));
    expect(credentialsOf(host)).toHaveLength(4);
    expect(searchCanaries([host.password], { directories: [folder] }).findings).toHaveLength(1);
  });

  it('not in the environment or the arguments of a helper', async () => {
    const folder = temporaryDirectory();
    const [helper, gate, pidFile, document] = ['helper', 'gate', 'pid', 'credentials.json'].map((name) =>
      join(folder, name),
    ) as [string, string, string, string];
    const unrelated = canary('unrelated variable', { plain: true });
    const token = canary('container token', { plain: true });
    execFileSync('mkfifo', [gate]);
    writeFileSync(
      helper,
      `#!/bin/sh\necho $$ >${pidFile}.new\n/bin/mv ${pidFile}.new ${pidFile}\nread x <${gate}\nexec /bin/cat ${document}\n`,
      {
        mode: 0o700,
      },
    );
    const host = await setup({
      bootstrap: {
        credentials: { source: 'roles-anywhere', rolesAnywhere: rolesAnywhereOf(folder, helper) },
      },
    });
    writeFileSync(document, helperOutput(host.sandbox), { mode: 0o600 });
    const agent = host.start({
      DATABASE_URL: unrelated.value,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: token.value,
    });

    await eventually('the helper', () => existsSync(pidFile) || undefined);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    const { findings, searched } = searchCanaries([unrelated, token], { pids: [pid] });
    writeFileSync(gate, 'go\n');
    await agent.event('agent.ready');

    expect(findings).toStrictEqual([]);
    expect(searched.places).toContain(`process ${pid} environment`);
    expect(searched.bytes).toBeGreaterThan(100);
  });
});

describe('log lines that wait in the spool', () => {
  it('are sealed where there is a binding key, while it runs and after a kill -9', async () => {
    const { host, line } = await withWaitingLine();
    const agent = await running(host);

    const alive = searchCanaries([line], { directories: [host.stateDirectory] });
    agent.kill('SIGKILL');
    await agent.finished;
    const dead = searchCanaries([line], { directories: [host.stateDirectory] });

    expect([...alive.findings, ...dead.findings]).toStrictEqual([]);
    expect(dead.searched.places).toContain(join(host.stateDirectory, 'spool', '0000000001.segment'));
    host.sandbox.faults.clear();
    await host.started();
    expect(await host.arrived(1)).toStrictEqual([line.value]);
  });

  it('are found by the same search where they may lie in clear', async () => {
    const { host, line } = await withWaitingLine((document) => {
      delete document.keys;
      if (document.events !== undefined) document.events['spool'] = { allowClearSpool: true };
    });
    await running(host);

    const [found] = await eventually('the line in clear', () => {
      const { findings } = searchCanaries([line], { directories: [host.stateDirectory] });
      return findings.length > 0 ? findings : undefined;
    });

    expect(found).toMatchObject({ canary: 'log line' });
  });
});

async function withWaitingLine(
  gateway: (document: GatewayDocument) => void = () => {},
): Promise<{ host: Host; line: Canary }> {
  const line = canary('log line', { plain: true });
  const host = await setup({ gateway });
  host.sandbox.faults.add({
    service: 'logs',
    effect: { kind: 'error', name: 'ServiceUnavailableException', status: 503 },
  });
  host.log([line.value]);
  return { host, line };
}

/** Starts the agent and waits until the line is in its spool. */
async function running(host: Host) {
  const agent = await host.started();
  await host.spooled(1);
  return agent;
}

/** The secret parts of all temporary credentials that the sandbox gave away. */
function credentialsOf({ sandbox }: Host): Canary[] {
  return sandbox.identities
    .snapshot()
    .keys.flatMap(({ accessKeyId, secretAccessKey, sessionToken }) =>
      sessionToken === undefined
        ? []
        : [
            asCanary(`secret access key of ${accessKeyId}`, secretAccessKey),
            asCanary(`session token of ${accessKeyId}`, sessionToken),
          ],
    );
}

function asCanary(name: string, value: string): Canary {
  const forms = {
    'as it is': value,
    'URL-encoded': encodeURIComponent(value),
    base64: Buffer.from(value).toString('base64'),
  };
  return {
    name,
    value,
    forms: Object.entries(forms).map(([form, text]) => ({ form, bytes: Buffer.from(text) })),
  };
}
