import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A program of somebody who knows AWS's SDK and nothing of ours: its environment alone says where AWS is. */
const plainProgram = `
  const { STSClient, GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
  const { Arn } = await new STSClient({}).send(new GetCallerIdentityCommand({}));
  console.log(Arn);
`;

/** What the last line that it prints has in it, and the only one with --json. */
const lastPrinted = 'AWS_EC2_METADATA_SERVICE_ENDPOINT';

/** `gatehouse sandbox` in a temporary folder of its own, once it has printed how to reach it. */
async function serving(args: readonly string[] = []) {
  const temporary = temporaryDirectory();
  const child = spawn(process.execPath, [join(dist, 'gatehouse.mjs'), 'sandbox', ...args], {
    env: { PATH: '/usr/bin:/bin', TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const lines: string[] = [];
  const printed = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (line.includes(lastPrinted)) resolve();
    });
  });
  await Promise.race([printed, closed]);
  return {
    temporary,
    lines,
    stop: async (): Promise<number | null> => {
      child.kill('SIGTERM');
      const [code] = await closed;
      return code as number | null;
    },
  };
}

/** Runs the plain program with an environment, in a place where it finds the SDK. */
function runPlainProgram(env: Readonly<Record<string, string>>) {
  return shell('"$NODE" --input-type=module -e "$SOURCE"', {
    env: { SOURCE: plainProgram, ...env },
    cwd: root,
  });
}

function files() {
  const directory = temporaryDirectory();
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  return { directory, file };
}

describe('gatehouse sandbox', () => {
  test('prints lines that a shell evaluates, and a plain SDK client then works', async () => {
    const { lines, temporary, stop } = await serving();

    const { code, stdout, stderr } = await shell(
      `eval "$LINES_PRINTED"\n"$NODE" --input-type=module -e "$SOURCE"`,
      { env: { LINES_PRINTED: lines.join('\n'), SOURCE: plainProgram }, cwd: root },
    );

    expect(lines.length).toBeGreaterThan(4);
    for (const line of lines) expect(line).toMatch(/^export AWS_[A-Z0-9_]+='[^']*'$/u);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'arn:aws:iam::123456789012:user/sandbox\n',
      stderr: '',
    });
    expect(await stop()).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('with --json prints one line that says how to reach it as user, instance and container', async () => {
    const { lines, stop } = await serving(['--json', '--region', 'us-east-2']);

    const served = JSON.parse(lines[0] ?? '') as Record<
      'environment' | 'instance' | 'container',
      { environment: Record<string, string> }
    >;
    const instance = await runPlainProgram(served.instance.environment);
    const container = await runPlainProgram(served.container.environment);

    expect(lines.length).toBe(1);
    expect(served).toMatchObject({ region: 'us-east-2', environment: { AWS_REGION: 'us-east-2' } });
    expect(instance.stdout).toMatch(/^arn:aws:sts::123456789012:assumed-role\/GatehouseHost\/i-/u);
    expect(container.stdout).toMatch(/^arn:aws:sts::123456789012:assumed-role\/GatehouseHost\//u);
    expect(await stop()).toBe(0);
  });

  test('--tls serves https that its own CA vouches for', async () => {
    const { lines, temporary, stop } = await serving(['--json', '--tls']);
    const { environment } = JSON.parse(lines[0] ?? '') as { environment: Record<string, string> };

    const trusting = await runPlainProgram(environment);
    const ours = await gatehouse(['whoami'], { env: { ...environment, NODE_EXTRA_CA_CERTS: '' } });

    expect(environment['AWS_ENDPOINT_URL']).toMatch(/^https:/u);
    expect(trusting.stdout).toContain(':user/sandbox');
    expect(ours).toMatchObject({ code: 0, stderr: '' });
    expect(await stop()).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('--faults injects what its file says', async () => {
    const faults = join(temporaryDirectory(), 'faults.json');
    const effect = { kind: 'error', name: 'AccessDenied', status: 403 };
    writeFileSync(faults, JSON.stringify({ faults: [{ service: 'sts', effect }] }));
    const { lines, stop } = await serving(['--json', '--faults', faults]);
    const { environment } = JSON.parse(lines[0] ?? '') as { environment: Record<string, string> };

    const { code, stderr } = await gatehouse(['whoami'], { env: environment });

    expect(stderr).toMatch(/^error: .*AccessDenied/u);
    expect(code).not.toBe(0);
    expect(await stop()).toBe(0);
  });

  test('--state keeps users and keys over a restart', async () => {
    const state = join(temporaryDirectory(), 'state.json');
    const first = await serving(['--json', '--state', state]);
    const { environment } = JSON.parse(first.lines[0] ?? '') as { environment: Record<string, string> };
    expect(await first.stop()).toBe(0);
    expect(existsSync(state)).toBe(true);

    const second = await serving(['--json', '--state', state]);
    const { endpoint } = JSON.parse(second.lines[0] ?? '') as { endpoint: string };
    const { stdout } = await runPlainProgram({ ...environment, AWS_ENDPOINT_URL: endpoint });

    expect(stdout).toContain(':user/sandbox');
    expect(await second.stop()).toBe(0);
  });
});

describe('a sandbox that cannot start', () => {
  test('says what is wrong with its files', async () => {
    const { directory, file } = files();
    const notJson = file('not.json', '{');
    const cases = [
      ['SANDBOX_FAULTS_INVALID', 65, ['--faults', notJson], `  ${notJson}: is not JSON`],
      ['SANDBOX_FAULTS_INVALID', 65, ['--faults', file('wrong.json', '{"faults":1}')], '  faults: '],
      ['SANDBOX_FILE_UNREADABLE', 66, ['--faults', join(directory, 'absent')], 'absent: cannot be read'],
      ['SANDBOX_FILE_UNREADABLE', 66, ['--state', directory], `  ${directory}: cannot be read`],
      ['SANDBOX_STATE_DAMAGED', 65, ['--state', notJson], '  '],
    ] as const;

    for (const [said, exit, args, line] of cases) {
      const { code, stdout, stderr } = await gatehouse(['sandbox', ...args]);
      expect(stderr).toMatch(/^error: .*\n(?: {2}.*\n)+hint: .*\n$/u);
      expect(stderr.split('\n')[0]).toContain(`(${said})`);
      expect(stderr).toContain(line);
      expect({ args, code, stdout }).toEqual({ args, code: exit, stdout: '' });
    }
    expect(readFileSync(notJson, 'utf8')).toBe('{');
  });

  test('says that its port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => {
      server.close();
    });
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;

    const { code, stdout, stderr } = await gatehouse(['sandbox', '--port', String(port), '--json']);

    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'SANDBOX_ADDRESS_IN_USE', details: { port }, causes: ['EADDRINUSE'] },
    });
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
  });

  test('says that an installation without a checkout has none', async () => {
    const installed = join(temporaryDirectory(), 'dist');
    mkdirSync(installed);
    for (const name of readdirSync(dist).filter((each) => each.endsWith('.mjs'))) {
      copyFileSync(join(dist, name), join(installed, name));
    }

    const { code, stdout, stderr } = await shell(`"$NODE" ${join(installed, 'gatehouse.mjs')} sandbox`);

    expect(stderr).toContain('(SANDBOX_NOT_INCLUDED)');
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
  });
});
