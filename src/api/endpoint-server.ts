import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Endpoint, type EndpointReply, failure, problem } from './endpoint.ts';
import { type HttpLimits, type HttpServer, httpServer } from './http-server.ts';

export const endpointLimits: HttpLimits = {
  connectionsMax: 128,
  headerBytesMax: 8_192,
  headersWithinMs: 5_000,
  requestWithinMs: 10_000,
  idleMs: 30_000,
  lookEveryMs: 1_000,
};

/** An HTTP server of one endpoint; a request with a body is refused. */
export function endpointServer(endpoint: Endpoint, limits: HttpLimits = endpointLimits): HttpServer {
  return httpServer(limits, (request, response, signal) => answer(endpoint, request, response, signal));
}

async function answer(
  endpoint: Endpoint,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { status, headers, body } = await replyTo(endpoint, request, signal);
  const isText = typeof body === 'string';
  const text = isText ? body : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': isText ? 'text/plain' : 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...headers,
  });
  // As text it goes out with the headers; bytes would be a write of their own, a third of the whole request.
  response.end(text);
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
