import type { IncomingHttpHeaders } from 'node:http';
import { asGatehouseError, reportOf } from '../base/errors.ts';
import type { HandedCredentials } from './credential-document.ts';

/** A request to an endpoint that hands out credentials: nothing of it is decoded, and it has no body. */
export interface EndpointRequest {
  readonly method: string;
  /** The path without its query. */
  readonly path: string;
  readonly query: string;
  /** By name in lower case. */
  readonly headers: IncomingHttpHeaders;
}

export interface EndpointReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text goes out as it is, anything else as JSON. */
  readonly body: unknown;
}

/** Answers requests. Throws this program's errors; `endpointServer` makes replies of them. */
export type Endpoint = (
  request: EndpointRequest,
  signal: AbortSignal,
) => EndpointReply | Promise<EndpointReply>;

/** Why a request was refused, where that is worth telling the operator of the host. */
export type RefusalReason =
  | 'forwarded'
  | 'foreign host'
  | 'web page'
  | 'no token'
  | 'wrong token'
  | 'unknown consumer';

/** What an endpoint for one consumer is made with. */
export interface Consumer {
  readonly name: string;
  /** Its credentials now, put on record before they are answered. Throws what keeps it from having any. */
  credentials(signal: AbortSignal): Promise<HandedCredentials>;
}

/** Told of each refusal; `consumer` where the request says or implies one that there is. */
export type OnRefused = (refusal: { readonly reason: RefusalReason; readonly consumer?: string }) => void;

/** The `{"code","message"}` that SDKs show to their users. */
export function problem(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): EndpointReply {
  return { status, headers, body: { code, message } };
}

/** An error as its code and what this program says of it: no detail, for the one who asks may be anybody. */
export function failure(error: unknown): EndpointReply {
  const { httpStatus = 500 } = asGatehouseError(error).row;
  const { code, summary, causes } = reportOf(error);
  return problem(httpStatus, code, [summary, ...causes].join(' < '));
}

export const notFound = problem(404, 'NotFound', 'there is nothing at this path');
export const onlyGet = problem(405, 'MethodNotAllowed', 'only GET is answered here', { allow: 'GET' });
