import { rm } from 'node:fs/promises';
import type { ListenOptions } from 'node:net';
import { bindSocket, type SocketPermissions } from './bind-socket.ts';
import type { Endpoint } from './endpoint.ts';
import { endpointServer } from './endpoint-server.ts';
import { apiError } from './errors.ts';
import type { HttpServer } from './http-server.ts';

/** An endpoint that is being listened for. */
export interface EndpointListener {
  /** Of a loopback port: the one listened on. */
  readonly port?: number;
  /** Stops listening, ends what is under way and removes what was made for it. */
  close(): Promise<void>;
}

/** The one address for endpoints: what is plain HTTP never leaves the host. */
export const endpointHost = '127.0.0.1';

/** Listens on a port of 127.0.0.1; 0 has the system choose one. @throws ENDPOINT_PORT_UNAVAILABLE */
export async function listenOnPort(port: number, endpoint: Endpoint): Promise<EndpointListener> {
  const server = endpointServer(endpoint);
  try {
    await listening(server, { host: endpointHost, port, exclusive: true });
  } catch (error) {
    throw apiError('ENDPOINT_PORT_UNAVAILABLE', { address: `${endpointHost}:${port}` }, error);
  }
  const address = server.http.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return { port: bound, close: () => server.close() };
}

/** Listens on a unix socket of its own. @throws API_SOCKET_UNAVAILABLE */
export async function listenOnPath(
  path: string,
  permissions: SocketPermissions,
  endpoint: Endpoint,
): Promise<EndpointListener> {
  const server = endpointServer(endpoint);
  await bindSocket(server.http, path, permissions);
  return {
    async close() {
      await rm(path, { force: true });
      await server.close();
    },
  };
}

/**
 * Serves a unix socket that was opened for us, by systemd as a rule: its path, owner and mode are not ours to touch.
 * @throws API_SOCKET_UNAVAILABLE, also for a socket of another kind: it may be reachable from other hosts
 */
export async function listenOnInherited(fd: number, endpoint: Endpoint): Promise<EndpointListener> {
  const server = endpointServer(endpoint);
  try {
    await listening(server, { fd });
  } catch (error) {
    throw apiError('API_SOCKET_UNAVAILABLE', { fd }, error);
  }
  // Of a unix socket that it did not bind itself Node knows no address; of one of the network it does.
  if (server.http.address() === null) return { close: () => server.close() };
  await server.close();
  throw apiError('API_SOCKET_UNAVAILABLE', { fd, problem: 'not a unix socket' });
}

function listening({ http }: HttpServer, options: ListenOptions & { fd?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(options, resolve);
  });
}
