import type { IncomingHttpHeaders } from 'node:http';

/** A request to a local endpoint, small on purpose: `Request` and `Response` objects double the time of each. */
export interface ApiRequest {
  readonly method: string;
  /** The path without its query. */
  readonly path: string;
  /** What follows the first `?`; absent where there is none. */
  readonly query?: string;
  /** By name in lower case. */
  readonly headers: IncomingHttpHeaders;
}

/** `body` goes out as JSON; `text` goes out as it is. */
export type ApiReply =
  | { readonly status: number; readonly body: unknown }
  | { readonly status: number; readonly text: string; readonly contentType: string };

/** Answers one method and path. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(request: ApiRequest, signal: AbortSignal): Promise<ApiReply> | ApiReply;
}

/** Sees a request before any route does: its reply ends the matter, `undefined` lets the request pass. */
export type Guard = (request: ApiRequest) => ApiReply | undefined;

/** What a listener serves. Guards are asked in order. */
export interface Api {
  readonly guards: readonly Guard[];
  readonly routes: readonly Route[];
}

/** Finds the route of a request and has it answer: 404 for an unknown path, 405 for a known one with another verb. */
export async function dispatch(
  { guards, routes }: Api,
  request: ApiRequest,
  signal: AbortSignal,
): Promise<ApiReply> {
  for (const guard of guards) {
    const refusal = guard(request);
    if (refusal !== undefined) return refusal;
  }
  const samePath = routes.filter((route) => route.path === request.path);
  const route = samePath.find((candidate) => candidate.method === request.method);
  if (route !== undefined) return route.answer(request, signal);
  return samePath.length === 0
    ? { status: 404, body: { message: 'not found' } }
    : { status: 405, body: { message: 'method not allowed' } };
}
