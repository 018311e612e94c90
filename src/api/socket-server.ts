import { chmod, mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { apiError } from './errors.ts';
import type { Route } from './route.ts';
import { apiServer } from './server.ts';

export interface SocketServer {
  readonly path: string;
  /** Stops listening, ends what is under way and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves routes over HTTP on a unix socket of the given mode. The socket is bound in a private folder and renamed into
 * place, so it has its mode from the first instant that its name exists; one left by a killed agent is replaced.
 * @throws API_SOCKET_UNAVAILABLE
 */
export async function listenOnSocket(
  path: string,
  mode: number,
  routes: readonly Route[],
): Promise<SocketServer> {
  const server = apiServer({ guards: [], routes });
  const { http } = server;

  try {
    const privateFolder = await mkdtemp(join(dirname(path), '.socket-'));
    const unnamed = join(privateFolder, 's');
    try {
      await new Promise<void>((resolve, reject) => {
        http.once('error', reject);
        http.listen(unnamed, resolve);
      });
      await chmod(unnamed, mode);
      await rename(unnamed, path);
    } finally {
      await rm(unnamed, { force: true });
      await rmdir(privateFolder);
    }
  } catch (error) {
    http.close();
    throw apiError('API_SOCKET_UNAVAILABLE', { path }, error);
  }

  return {
    path,
    async close() {
      const closed = server.close();
      await rm(path, { force: true });
      await closed;
    },
  };
}
