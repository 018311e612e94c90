import { join } from 'node:path';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import type { FaultRule } from '../../sandbox/faults.ts';
import { copyOnDisk } from '../../src/agent/gateway-config/copy-on-disk.ts';
import { copyContext } from '../../src/config/last-known-good.ts';
import { awsKms } from '../../src/keys/aws-kms.ts';
import { kmsKeyring } from '../../src/keys/kms-keyring.ts';
import { sealBytes } from '../../src/keys/message-sealer.ts';
import { lockStateDirectory } from '../../src/system/state-directory.ts';
import { bindingKey, gatewaySecret, type Host, type HostOptions, setup } from './host.ts';

const never = new AbortController().signal;

export const secretsManagerAway: FaultRule = {
  service: 'secretsmanager',
  effect: { kind: 'error', name: 'ServiceUnavailable', status: 503 },
};

/** A host whose agent has run, and left a sealed copy of the gateway config. */
export async function hostThatRan(): Promise<Host> {
  const host = await setup();
  const agent = await host.started();
  await agent.event('config.last-known-good-kept');
  await agent.stop();
  return host;
}

/** A host with the copy that its agent would have left; no agent ran for it, for starting one is what takes time. */
export async function hostWithCopy(options?: HostOptions): Promise<Host> {
  const host = await setup(options);
  const { operator, sandbox, bootstrap } = host;
  const { SecretString = '', VersionId: versionId = '' } = await operator.secretsManager.send(
    new GetSecretValueCommand({ SecretId: gatewaySecret }),
  );
  const state = await lockStateDirectory(host.stateDirectory);
  try {
    const question = {
      secretName: gatewaySecret,
      versionStage: 'AWSCURRENT',
      region: sandbox.region,
      hostId: state.hostId,
      agentName: bootstrap.name,
    };
    const kms = awsKms(async () => operator.kms);
    const message = await sealBytes(
      Buffer.from(SecretString),
      copyContext(question, { versionId, sealedAt: new Date() }),
      kmsKeyring({ keyArn: host.keyArn(bindingKey), kmsFor: () => kms }),
      never,
    );
    await copyOnDisk(state.path, question).write(message);
  } finally {
    state.release();
  }
  return host;
}

/** How a start ends that fails: with what, and why the copy was of no use. */
export async function failedStart(host: Host, environment: Record<string, string> = {}) {
  const agent = host.start(environment);
  const { code } = await agent.finished;
  const errorOf = (name: string) =>
    (agent.lines().find(({ event }) => event === name) as { error?: { code: string } } | undefined)?.error
      ?.code;
  return {
    exitCode: code,
    error: errorOf('agent.failed'),
    copy: errorOf('config.last-known-good-unusable'),
  };
}

export const copyPath = (host: Host): string => join(host.stateDirectory, 'last-known-good');

/** The version id that a copy claims. */
export function versionIn(file: Buffer): string {
  const text = file.toString('latin1');
  return /[0-9a-f]{8}-[0-9a-f-]{27}/u.exec(text.slice(text.indexOf('version-id')))?.[0] ?? '';
}
