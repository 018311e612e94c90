import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { asGatehouseError, reportOf } from '../base/errors.ts';
import { type Api, type ApiReply, type ApiRequest, dispatch } from './route.ts';

export interface ApiServer {
  /** To be told where to listen. */
  readonly http: Server;
  /** Stops listening and ends what is under way. */
  close(): Promise<void>;
}

const connectionsMax = 64;
const requestTimeoutMs = 30_000;
const headerBytesMax = 8_192;

/** An HTTP server for an API, bounded in connections, time and header bytes; a body is not read. It listens nowhere. */
export function apiServer(api: Api): ApiServer {
  const stopping = new AbortController();
  const http = createServer(
    { maxHeaderSize: headerBytesMax, requestTimeout: requestTimeoutMs },
    (request, response) => {
      void answer(api, request, response, stopping.signal);
    },
  );
  http.maxConnections = connectionsMax;

  return {
    http,
    async close() {
      stopping.abort();
      const closed = new Promise<void>((resolve) => {
        http.close(() => resolve());
      });
      http.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  api: Api,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  request.resume();
  const { method = 'GET', url = '/', headers } = request;
  const [path = '/'] = url.split('?', 1);
  const query = url.slice(path.length + 1);
  const asked = { method, path, ...(query === '' ? {} : { query }), headers };
  const reply = await replyTo(api, asked, signal);
  const isText = 'text' in reply;
  const body = Buffer.from(isText ? reply.text : `${JSON.stringify(reply.body)}\n`);
  response.writeHead(reply.status, {
    'content-type': isText ? reply.contentType : 'application/json',
    'content-length': body.length,
  });
  response.end(body);
}

async function replyTo(api: Api, request: ApiRequest, signal: AbortSignal): Promise<ApiReply> {
  try {
    return await dispatch(api, request, signal);
  } catch (error) {
    return { status: asGatehouseError(error).row.httpStatus ?? 500, body: { error: reportOf(error) } };
  }
}
