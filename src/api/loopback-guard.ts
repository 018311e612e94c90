import { isLoopbackAddress } from '../base/local-address.ts';
import {
  type Endpoint,
  type EndpointReply,
  type EndpointRequest,
  type OnRefused,
  problem,
  type RefusalReason,
} from './endpoint.ts';

/**
 * Lets pass only what a program on this host asks by itself. A web page cannot: a browser names the page's own host,
 * also when that resolves to 127.0.0.1 by now (DNS rebinding), or it names the page's origin. Nor can what reaches this
 * host through a proxy, which says for whom it asks.
 */
export function loopbackOnly(endpoint: Endpoint, onRefused: OnRefused): Endpoint {
  // Programs ask by one name again and again.
  let known: string | undefined;
  const isLoopback = (host: string | undefined): boolean => {
    if (host !== undefined && host === known) return true;
    if (!isLoopbackHost(host)) return false;
    known = host;
    return true;
  };
  return (request, signal) => {
    const refusal = refusalOf(request, isLoopback);
    if (refusal === undefined) return endpoint(request, signal);
    onRefused({ reason: refusal.reason });
    return refusal.reply;
  };
}

interface Refusal {
  readonly reason: RefusalReason;
  readonly reply: EndpointReply;
}

const forwarding = ['x-forwarded-for', 'x-forwarded-host', 'forwarded', 'via'] as const;

function refusalOf(
  { headers }: EndpointRequest,
  isLoopback: (host: string | undefined) => boolean,
): Refusal | undefined {
  if (!isLoopback(headers.host)) {
    const reply = problem(403, 'HostRefused', 'the Host header must name a loopback address or localhost');
    return { reason: 'foreign host', reply };
  }
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) {
    return { reason: 'web page', reply: problem(403, 'OriginRefused', 'web pages get no credentials') };
  }
  if (forwarding.some((name) => headers[name] !== undefined)) {
    return { reason: 'forwarded', reply: problem(403, 'Forwarded', 'forwarded requests get no credentials') };
  }
  return undefined;
}

/** `127.0.0.1:9911`, `localhost`, `[::1]:9911`. */
function isLoopbackHost(host: string | undefined): boolean {
  const [, name = ''] = /^(\[[\da-f:.]{2,45}\]|[\da-z.]{1,253})(?::\d{1,5})?$/iu.exec(host ?? '') ?? [];
  return name.toLowerCase() === 'localhost' || isLoopbackAddress(name);
}
