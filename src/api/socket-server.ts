import { chmod, mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { asGatehouseError, reportOf } from '../base/errors.ts';
import { apiError } from './errors.ts';
import { type ApiReply, dispatch, type Route } from './route.ts';

export interface SocketServer {
  readonly path: string;
  /** Stops listening, ends what is under way and removes the socket. */
  close(): Promise<void>;
}

const connectionsMax = 64;
const requestTimeoutMs = 30_000;
const headerBytesMax = 8_192;

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
  const stopping = new AbortController();
  const server = createServer(
    { maxHeaderSize: headerBytesMax, requestTimeout: requestTimeoutMs },
    (request, response) => {
      void answer(routes, request, response, stopping.signal);
    },
  );
  server.maxConnections = connectionsMax;

  try {
    const privateFolder = await mkdtemp(join(dirname(path), '.socket-'));
    const unnamed = join(privateFolder, 's');
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(unnamed, resolve);
      });
      await chmod(unnamed, mode);
      await rename(unnamed, path);
    } finally {
      await rm(unnamed, { force: true });
      await rmdir(privateFolder);
    }
  } catch (error) {
    server.close();
    throw apiError('API_SOCKET_UNAVAILABLE', { path }, error);
  }

  return {
    path,
    async close() {
      stopping.abort();
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      await rm(path, { force: true });
      await closed;
    },
  };
}

async function answer(
  routes: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  request.resume();
  const reply = await replyTo(routes, request, signal);
  const body = Buffer.from(`${JSON.stringify(reply.body)}\n`);
  response.writeHead(reply.status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

async function replyTo(
  routes: readonly Route[],
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<ApiReply> {
  const [path = '/'] = (request.url ?? '/').split('?', 1);
  try {
    return await dispatch(routes, { method: request.method ?? 'GET', path }, signal);
  } catch (error) {
    return { status: asGatehouseError(error).row.httpStatus ?? 500, body: { error: reportOf(error) } };
  }
}
