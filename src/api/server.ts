import type { IncomingMessage, ServerResponse } from 'node:http';
import { asGatehouseError, reportOf } from '../base/errors.ts';
import { type HttpLimits, type HttpServer, httpServer } from './http-server.ts';
import { type Api, type ApiReply, type ApiRequest, dispatch } from './route.ts';

const apiLimits: HttpLimits = {
  connectionsMax: 64,
  headerBytesMax: 8_192,
  headersWithinMs: 30_000,
  requestWithinMs: 30_000,
  idleMs: 5_000,
  lookEveryMs: 10_000,
};

/** An HTTP server for an API; a body is not read. */
export function apiServer(api: Api): HttpServer {
  return httpServer(apiLimits, (request, response, signal) => answer(api, request, response, signal));
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
