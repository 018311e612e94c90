import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { SandboxError } from './sandbox-error.ts';
import type { RawRequest, RawResponse } from './service.ts';
import type { ThrowawayTls } from './tls.ts';

/** What becomes of a request: an answer and how much of it gets through. */
export interface Exchange {
  /** undefined where the connection was cut before anything was done. */
  readonly response: RawResponse | undefined;
  readonly outcome: 'answered' | 'half' | 'lost' | 'cut';
}

export interface Listener {
  /** `http://127.0.0.1:4566`, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly close: () => Promise<void>;
}

export interface ListenAddress {
  readonly port: number;
  readonly host: string;
}

/** The largest request body, in bytes; AWS's own largest here is PutLogEvents with 1 MiB. */
export const bodyBytesMax = 8 * 1024 * 1024;

const keepAliveTimeoutMs = 60_000;

/** Serves `exchange` over HTTP, or HTTPS where a certificate is given. */
export async function serveHttp(
  exchange: (request: RawRequest) => Promise<Exchange>,
  { port, host }: ListenAddress,
  tls: ThrowawayTls | undefined,
): Promise<Listener> {
  const listener: RequestListener = (message, reply) => {
    answer(exchange, message, reply).catch(() => message.socket.destroy());
  };
  const server =
    tls === undefined
      ? createServer({ keepAliveTimeout: keepAliveTimeoutMs }, listener)
      : createTlsServer(
          { cert: tls.certificatePem, key: tls.privateKeyPem, keepAliveTimeout: keepAliveTimeoutMs },
          listener,
        );

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE' || error.code === 'EACCES';
      const message = `cannot listen on ${host}:${port}`;
      reject(taken ? new SandboxError('SANDBOX_ADDRESS_IN_USE', message, [], error) : error);
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no address to listen on');
  const written = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${written}:${address.port}`,
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  exchange: (request: RawRequest) => Promise<Exchange>,
  message: IncomingMessage,
  reply: ServerResponse,
): Promise<void> {
  const body = await bodyOf(message);
  if (body === undefined) {
    reply.writeHead(413, { connection: 'close' }).end();
    return;
  }
  const { response, outcome } = await exchange({
    method: message.method ?? '',
    target: message.url ?? '',
    headers: pairs(message.rawHeaders),
    body,
  });
  if (response === undefined || outcome === 'lost' || outcome === 'cut') {
    message.socket.destroy();
    return;
  }
  reply.writeHead(response.status, { ...response.headers, 'content-length': response.body.length });
  if (outcome === 'half') {
    reply.write(response.body.subarray(0, response.body.length / 2), () => message.socket.destroy());
    return;
  }
  reply.end(message.method === 'HEAD' ? undefined : response.body);
}

async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Read to its end even so: leaving early would close the connection under the reply.
    if (length <= bodyBytesMax) chunks.push(chunk);
  }
  if (length > bodyBytesMax) return undefined;
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
}

function pairs(rawHeaders: readonly string[]): (readonly [name: string, value: string])[] {
  const headers: (readonly [name: string, value: string])[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return headers;
}
