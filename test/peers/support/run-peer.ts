import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Target } from '../../contract/contract.ts';
import { patienceMs } from '../../support/patience.ts';
import { type PeerName, peerProgram } from './peer.ts';

export interface PeerRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a peer's program to its end, pointed at `target` by environment alone; nothing of the caller's own AWS
 * configuration reaches it. `changes` adds to that environment, and undefined takes away. Asynchronous, because the
 * target may live in this process.
 */
export function runPeer(
  name: PeerName,
  args: readonly string[],
  target: Target,
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<PeerRun> {
  const { accessKeyId, secretAccessKey, sessionToken } = target.credentials;
  return runPeerIn(name, args, {
    AWS_ENDPOINT_URL: target.endpoint,
    AWS_REGION: target.region,
    AWS_DEFAULT_REGION: target.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...(sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: sessionToken }),
    AWS_EC2_METADATA_DISABLED: 'true',
    ...changes,
  });
}

/** What a peer's program needs in its environment to run at all, and to find nothing of the caller's own. */
export const peerEnvironment: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '/usr/bin:/bin',
  HOME: '/nonexistent',
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_MAX_ATTEMPTS: '1',
  AWS_PAGER: '',
  PYTHONDONTWRITEBYTECODE: '1',
  PYTHONUTF8: '1',
};

/** Runs a peer's program to its end, with `env` beside what it needs anyway. */
export async function runPeerIn(
  name: PeerName,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<PeerRun> {
  // The AWS CLI keeps a cache there.
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-peer-'));
  const child = spawn(peerProgram(name), args, {
    env: { ...peerEnvironment, HOME: home, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patienceMs,
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  await rm(home, { recursive: true, force: true });
  return { exitCode: child.exitCode, stdout, stderr };
}
