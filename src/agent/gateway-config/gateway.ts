import { Secret } from '../../base/secret.ts';
import { getSecretValue } from '../../secrets/secrets-manager.ts';
import type { Host } from '../host.ts';
import type { FetchedVersion } from './followed-config.ts';
import { validGateway } from './valid-gateway.ts';

/**
 * Fetches the gateway config and validates it within the limits that the bootstrap config sets. Its plaintext is in
 * memory only; whoever wants the `value` no more disposes of it.
 * @throws SECRET_…, GATEWAY_CONFIG_…, CREDENTIALS_…
 */
export async function readGateway(
  host: Host,
  secretName: string,
  signal: AbortSignal,
): Promise<FetchedVersion> {
  const { config: bootstrap } = host.bootstrap;
  const { versionStage } = bootstrap.gatewayConfig;
  const client = await host.aws.secretsManager();
  const { text, bytes, versionId, awsRequestId } = await getSecretValue(
    client,
    { secretId: secretName, versionStage },
    signal,
  );
  try {
    const config = await validGateway(bootstrap, { text, bytes });
    const value = bytes === undefined ? Secret.ofText(text ?? '') : Secret.ofBytes(bytes);
    return { config, versionId, value, ...(awsRequestId === undefined ? {} : { awsRequestId }) };
  } finally {
    bytes?.fill(0);
  }
}
