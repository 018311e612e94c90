import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { asGatehouseError, type ErrorReport, reportOf } from '../base/errors.ts';
import { type Leftover, leftover } from '../events/spool/leftover.ts';
import type { GatewayConfig } from './config.ts';
import { stepsInAws } from './decommission/in-aws.ts';
import { stepsOnHost } from './decommission/on-host.ts';
import type { Step } from './decommission/step.ts';
import { readGateway } from './gateway-config/gateway.ts';
import { bootstrapOf, type Host, openHost } from './host.ts';
import type { Launch } from './launch.ts';
import { status } from './monitoring/status.ts';

/** What there is of a host, and how each of it goes. */
export interface Decommission {
  readonly name: string;
  readonly hostId?: string;
  readonly isRunning: boolean;
  /** Absent where the spool cannot be read. */
  readonly leftover?: Leftover;
  /** Why the gateway config could not be read: what only it names is missing then. */
  readonly gatewayConfig?: ErrorReport;
  readonly onHost: readonly Step[];
  readonly inAws: readonly Step[];
}

const gatewayMsMax = 15_000;

/** Looks, here and at the gateway config, and changes nothing anywhere. @throws CONFIG_… */
export async function decommission(
  launch: Launch,
  { root }: { readonly root: string },
  signal: AbortSignal,
): Promise<Decommission> {
  const bootstrap = bootstrapOf(launch);
  const { config, file } = bootstrap;
  const host = openHost(launch, bootstrap);
  try {
    const hostId = await readFile(join(root, config.stateDirectory, 'host-id'), 'utf8').then(
      (text) => text.trim(),
      () => undefined,
    );
    const left = await leftover(join(root, config.stateDirectory)).catch(() => undefined);
    const { gateway, failure } = await gatewayOf(host, signal);
    return {
      name: config.name,
      ...(hostId === undefined ? {} : { hostId }),
      isRunning: await status(launch, signal).then(
        () => true,
        () => false,
      ),
      ...(left === undefined ? {} : { leftover: left }),
      ...(failure === undefined ? {} : { gatewayConfig: failure }),
      onHost: await stepsOnHost({ bootstrap: config, configFile: file, gateway, leftover: left, root }),
      inAws: stepsInAws({
        bootstrap: config,
        gateway,
        hostId,
        hostname: hostname(),
        certificate: await certificateOf(host),
      }),
    };
  } finally {
    host.aws.close();
  }
}

async function certificateOf({ bootstrap, launch }: Host): Promise<string | undefined> {
  const { rolesAnywhere } = bootstrap.config.credentials;
  if (rolesAnywhere === undefined) return undefined;
  const { certificateInUse } = await import('../identity/roles-anywhere/certified-key.ts');
  return certificateInUse(rolesAnywhere, launch.env).then(
    ({ x509 }) => x509.toString(),
    () => undefined,
  );
}

async function gatewayOf(
  host: Host,
  signal: AbortSignal,
): Promise<{ gateway: GatewayConfig | undefined; failure?: ErrorReport }> {
  const { secretName } = host.bootstrap.config.gatewayConfig;
  if (secretName === undefined) return { gateway: undefined };
  try {
    const { config } = await host.launch.clock.deadline(gatewayMsMax, 'gateway config', signal, (within) =>
      readGateway(host, secretName, within),
    );
    return { gateway: config };
  } catch (error) {
    signal.throwIfAborted();
    return { gateway: undefined, failure: reportOf(asGatehouseError(error)) };
  }
}
