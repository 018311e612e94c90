import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ContainerNamespaceReport } from '../support/container-namespace.ts';
import { testMsMax } from '../support/patience.ts';

const program = fileURLToPath(new URL('../support/container-namespace.ts', import.meta.url));

/**
 * `$0` and `$@` are the program. The namespace and the address in it are gone when the program is: the machine's own
 * interfaces are never touched.
 */
const namespace = [
  '--net',
  'sh',
  '-c',
  'ip link set lo up && ip addr add 169.254.170.2/32 dev lo && exec "$0" "$@"',
];

describe.skipIf(isNamespaceMissing())('a container with a relative URI, in a network namespace', () => {
  it('is known by what 169.254.170.2 answers, and refused with another’s URI', async () => {
    const { own, other, calls } = await report();

    expect(own).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(own.stdout)).toMatchObject({
      source: 'container',
      arn: expect.stringMatching(/^arn:aws:sts::123456789012:assumed-role\/GatehouseHost\//u),
      account: '123456789012',
      role: 'GatehouseHost',
    });
    expect(other).toMatchObject({ code: 77, stdout: '' });
    expect(other.stderr).toContain('CREDENTIALS_CONTAINER_REFUSED');
    expect(calls).toEqual([
      { service: 'container-credentials', operation: 'GetCredentials', status: 200 },
      { service: 'sts', operation: 'GetCallerIdentity', status: 200 },
      { service: 'container-credentials', operation: 'GetCredentials', status: 400 },
    ]);
  });
});

async function report(): Promise<ContainerNamespaceReport> {
  const child = spawn('unshare', [...namespace, process.execPath, program], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: testMsMax,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as ContainerNamespaceReport;
}

/** Whether this process may not make a network namespace: not root, in a container without CAP_SYS_ADMIN, no iproute2. */
function isNamespaceMissing(): boolean {
  const { status, stderr, error } = spawnSync('unshare', [...namespace, 'true'], { encoding: 'utf8' });
  if (status === 0) return false;
  const reason = error?.message ?? stderr.trim();
  process.stderr.write(`skipped, no network namespace for a container's relative URI: ${reason}\n`);
  return true;
}
