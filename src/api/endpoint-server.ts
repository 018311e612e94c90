import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Endpoint, type EndpointReply, failure, problem } from './endpoint.ts';

/** What one listener takes. */
export interface EndpointLimits {
  /** Beyond it a new connection is closed at once. */
  readonly connectionsMax: number;
  /** Header bytes of one request; beyond it the answer is 431. */
  readonly headerBytesMax: number;
  /** From the first byte to the last of one request's headers, and of all of it; beyond it the answer is 408. */
  readonly headersWithinMs: number;
  readonly requestWithinMs: number;
  /** How long a connection may be idle between two requests. */
  readonly idleMs: number;
  /** How often those times are looked at. */
  readonly lookEveryMs: number;
}

export const endpointLimits: EndpointLimits = {
  connectionsMax: 128,
  headerBytesMax: 8_192,
  headersWithinMs: 5_000,
  requestWithinMs: 10_000,
  idleMs: 30_000,
  lookEveryMs: 1_000,
};

export interface EndpointServer {
  /** To be told where to listen. */
  readonly http: Server;
  /** Stops listening and ends what is under way. */
  close(): Promise<void>;
}

/** An HTTP server of one endpoint, bounded in everything; a request with a body is refused. It listens nowhere yet. */
export function endpointServer(endpoint: Endpoint, limits: EndpointLimits = endpointLimits): EndpointServer {
  const stopping = new AbortController();
  const http = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersWithinMs,
      requestTimeout: limits.requestWithinMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: limits.lookEveryMs,
    },
    (request, response) => {
      void answer(endpoint, request, response, stopping.signal);
    },
  );
  http.maxConnections = limits.connectionsMax;

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
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { status, headers, body } = await replyTo(endpoint, request, signal);
  const isText = typeof body === 'string';
  const bytes = Buffer.from(isText ? body : JSON.stringify(body));
  response.writeHead(status, {
    'content-type': isText ? 'text/plain' : 'application/json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(bytes);
}

const bodyRefused = problem(413, 'BodyRefused', 'no request here has a body', { connection: 'close' });

async function replyTo(
  endpoint: Endpoint,
  { method = '', url = '', headers }: IncomingMessage,
  signal: AbortSignal,
): Promise<EndpointReply> {
  const length = headers['content-length'] ?? '0';
  if (length !== '0' || headers['transfer-encoding'] !== undefined) return bodyRefused;
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  const query = mark === -1 ? '' : url.slice(mark + 1);
  try {
    return await endpoint({ method, path, query, headers }, signal);
  } catch (error) {
    return failure(error);
  }
}
