import { createSandbox, type Sandbox } from '../../sandbox/sandbox.ts';
import type { Target } from './contract.ts';

export interface SandboxTarget extends Target {
  readonly sandbox: Sandbox;
  close(): Promise<void>;
}

/** The sandbox on a free port, with a user who may assume a role. */
export async function startSandbox(): Promise<SandboxTarget> {
  const sandbox = createSandbox({ region: 'eu-west-1' });
  const { accessKeyId, secretAccessKey } = sandbox.identities.createUser('contract');
  const { arn } = sandbox.identities.createRole('contract');
  const listener = await sandbox.listen({ port: 0 });
  return {
    sandbox,
    endpoint: listener.url,
    region: sandbox.region,
    credentials: { accessKeyId, secretAccessKey },
    roleArn: arn,
    close: () => listener.close(),
  };
}
