import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Target } from '../../contract/contract.ts';
import { type PeerName, peerProgram } from './peer.ts';

export interface PeerRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const runMsMax = 90_000;

/**
 * Runs a peer's program to its end, pointed at `target` by environment alone; nothing of the caller's own AWS
 * configuration reaches it. `changes` adds to that environment, and undefined takes away. Asynchronous, because the target may live in this process.
 */
export async function runPeer(
  name: PeerName,
  args: readonly string[],
  target: Target,
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<PeerRun> {
  const { accessKeyId, secretAccessKey, sessionToken } = target.credentials;
  // The AWS CLI keeps a cache there.
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-peer-'));
  const child = spawn(peerProgram(name), args, {
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      AWS_ENDPOINT_URL: target.endpoint,
      AWS_REGION: target.region,
      AWS_DEFAULT_REGION: target.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      ...(sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: sessionToken }),
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_MAX_ATTEMPTS: '1',
      AWS_PAGER: '',
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUTF8: '1',
      ...changes,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: runMsMax,
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  await rm(home, { recursive: true, force: true });
  return { exitCode: child.exitCode, stdout, stderr };
}
