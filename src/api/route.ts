/** A request to a local endpoint, small on purpose: `Request` and `Response` objects double the time of each. */
export interface ApiRequest {
  readonly method: string;
  /** The path without its query. */
  readonly path: string;
}

export interface ApiReply {
  readonly status: number;
  /** Sent as JSON. */
  readonly body: unknown;
}

/** Answers one method and path. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(request: ApiRequest, signal: AbortSignal): Promise<ApiReply> | ApiReply;
}

/** Finds the route of a request and has it answer: 404 for an unknown path, 405 for a known one with another verb. */
export async function dispatch(
  routes: readonly Route[],
  request: ApiRequest,
  signal: AbortSignal,
): Promise<ApiReply> {
  const samePath = routes.filter((route) => route.path === request.path);
  const route = samePath.find((candidate) => candidate.method === request.method);
  if (route !== undefined) return route.answer(request, signal);
  return samePath.length === 0
    ? { status: 404, body: { message: 'not found' } }
    : { status: 405, body: { message: 'method not allowed' } };
}
