/**
 * A program for a network namespace of its own, whose loopback has the address that ECS and EKS give to their
 * credential endpoint. Serves a sandbox there, asks the built agent who it is with each of several relative URIs, and
 * prints one `ContainerNamespaceReport`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Call } from '../../sandbox/calls.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { patienceMs } from './patience.ts';

export interface ContainerNamespaceReport {
  /** With the container's own URI. */
  readonly own: Answer;
  /** With one of the same form that belongs to no container. */
  readonly other: Answer;
  /** What the sandbox was asked, in order. */
  readonly calls: readonly Pick<Call, 'service' | 'operation' | 'status'>[];
}

interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const host = '169.254.170.2';
const built = fileURLToPath(new URL('../../dist/gatehouse.mjs', import.meta.url));

const sandbox = createSandbox();
const listener = await sandbox.listen({ host, port: 80 });
const report: ContainerNamespaceReport = {
  own: await whoami(sandbox.container.relativePath),
  other: await whoami('/v2/credentials/00000000-0000-4000-8000-000000000000'),
  calls: sandbox.calls.list().map(({ service, operation, status }) => ({ service, operation, status })),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
await listener.close();

async function whoami(relativeUri: string): Promise<Answer> {
  const child = spawn(process.execPath, [built, 'whoami', '--json'], {
    // What ECS gives a container, and where AWS is.
    env: {
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: relativeUri,
      AWS_REGION: sandbox.region,
      AWS_ENDPOINT_URL: `http://${host}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patienceMs,
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}
