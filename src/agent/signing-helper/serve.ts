import { hostname } from 'node:os';
import { endpointHost, listenOnPort } from '../../api/endpoint-listener.ts';
import { loopbackOnly } from '../../api/loopback-guard.ts';
import { metadataEndpoint } from '../../api/metadata-endpoint.ts';
import { metadataTokens } from '../../api/metadata-token.ts';
import { asGatehouseError } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import type { CredentialSource } from '../../identity/credential-source.ts';
import { refreshing } from '../../identity/refreshing.ts';
import { handed } from '../consumers/consumer-credentials.ts';
import { instanceIdOf } from '../consumers/consumer-ways.ts';
import { refusals } from '../consumers/refusals.ts';
import type { Launch } from '../launch.ts';

export interface ServeOptions {
  /** Of 127.0.0.1; 0 has the system choose. */
  readonly port: number;
  readonly roleArn: string;
  readonly region: string;
  /** Told once, when it is being listened. */
  readonly onListening: (url: string) => void;
}

/** How credentials and refusals call the one who asks. */
const consumer = 'serve';

/**
 * Serves the credentials of a source as EC2 instance metadata, to every local user, until `stop` aborts. AWS out of
 * reach ends nothing: the answer is 503 with the reason until there are credentials. What somebody has to mend first is
 * thrown when it is there from the beginning.
 * @throws ENDPOINT_PORT_UNAVAILABLE, and of the source what time alone does not mend
 */
export async function serve(
  launch: Pick<Launch, 'clock' | 'logForm' | 'writeLog'>,
  source: CredentialSource,
  { port, roleArn, region, onListening }: ServeOptions,
  stop: AbortSignal,
): Promise<void> {
  const { clock } = launch;
  const { log } = createLogger({
    level: 'info',
    form: launch.logForm,
    write: (line) => launch.writeLog(line),
  });
  const credentials = refreshing(source, { clock, log });
  const refused = refusals({ clock, log });
  const onRefused: Parameters<typeof loopbackOnly>[1] = ({ reason }) =>
    refused.record({ way: 'metadata', reason, consumer });

  const endpoint = metadataEndpoint({
    consumer: {
      name: consumer,
      async credentials(signal) {
        const held = await credentials.current(signal);
        return handed(held, credentials.state().lastRenewed ?? clock.now());
      },
    },
    roleName: roleArn.split('/').at(-1) ?? consumer,
    machine: { region, instanceId: instanceIdOf(hostname()), accountId: roleArn.split(':')[4] },
    tokens: metadataTokens(clock),
    onRefused,
  });
  const listener = await listenOnPort(port, loopbackOnly(endpoint, onRefused));
  try {
    await credentials.current(stop).catch((error: unknown) => {
      stop.throwIfAborted();
      if (!asGatehouseError(error).row.retry) throw error;
    });
    onListening(`http://${endpointHost}:${listener.port ?? port}/`);
    await credentials.run(stop);
  } catch (error) {
    if (!stop.aborted || error !== stop.reason) throw error;
  } finally {
    await listener.close();
  }
}
