import { isLoopbackAddress } from '../base/local-address.ts';
import { apiError } from './errors.ts';
import { type LoopbackAddress, loopbackAddressText } from './loopback-address.ts';
import type { ApiReply, ApiRequest, Route } from './route.ts';
import { apiServer } from './server.ts';

export interface LoopbackServer {
  /** As listened on, with the port that was chosen. */
  readonly address: LoopbackAddress;
  close(): Promise<void>;
}

/**
 * Serves routes over HTTP on a loopback address, to every local user. Only requests that name a loopback host are
 * answered: a web page that has its own name resolve to 127.0.0.1 must read nothing.
 * @throws API_ADDRESS_UNAVAILABLE
 */
export async function listenOnLoopback(
  wanted: LoopbackAddress,
  routes: readonly Route[],
): Promise<LoopbackServer> {
  const server = apiServer({ guards: [namesLoopback], routes });
  const { http } = server;
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error) => {
      reject(apiError('API_ADDRESS_UNAVAILABLE', { address: loopbackAddressText(wanted) }, error));
    });
    http.listen({ host: wanted.address, port: wanted.port, exclusive: true }, resolve);
  });
  const bound = http.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : wanted.port;
  return { address: { address: wanted.address, port }, close: () => server.close() };
}

function namesLoopback({ headers }: ApiRequest): ApiReply | undefined {
  const [, hostname = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/u.exec(headers.host ?? '') ?? [];
  return hostname.toLowerCase() === 'localhost' || isLoopbackAddress(hostname)
    ? undefined
    : { status: 421, body: { message: 'the Host header must name a loopback address' } };
}
