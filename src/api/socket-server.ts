import { rm } from 'node:fs/promises';
import { bindSocket } from './bind-socket.ts';
import type { Route } from './route.ts';
import { apiServer } from './server.ts';

export interface SocketServer {
  readonly path: string;
  /** Stops listening, ends what is under way and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves routes over HTTP on a unix socket of the given mode, see `bindSocket`.
 * @throws API_SOCKET_UNAVAILABLE
 */
export async function listenOnSocket(
  path: string,
  mode: number,
  routes: readonly Route[],
): Promise<SocketServer> {
  const server = apiServer({ guards: [], routes });
  await bindSocket(server.http, path, { mode });

  return {
    path,
    async close() {
      const closed = server.close();
      await rm(path, { force: true });
      await closed;
    },
  };
}
