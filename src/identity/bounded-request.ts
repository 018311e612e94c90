import * as plain from 'node:http';
import { identityError } from './errors.ts';

export interface BoundedReply {
  readonly status: number;
  readonly body: string;
}

/**
 * One request without a body, over http or https. `connected` is called when somebody takes the connection.
 * @throws the error of `node:http` when there is no whole answer, the signal's reason when it aborts,
 * CREDENTIALS_DOCUMENT_INVALID when the answer is longer than `bytesMax`.
 */
export function boundedRequest(
  url: URL,
  options: {
    method: 'GET' | 'PUT';
    headers: Readonly<Record<string, string>>;
    bytesMax: number;
    connected: () => void;
  },
  signal: AbortSignal,
): Promise<BoundedReply> {
  const { method, headers, bytesMax, connected } = options;
  // Loaded where it is needed: metadata services have none.
  const { request } = url.protocol === 'https:' ? process.getBuiltinModule('node:https') : plain;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
    // No agent: a connection kept alive would outlive the few requests made in a day.
    const outgoing = request(url, { method, headers, agent: false, signal }, (incoming) => {
      const chunks: Buffer[] = [];
      let length = 0;
      incoming.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > bytesMax) {
          incoming.destroy(identityError('CREDENTIALS_DOCUMENT_INVALID', { endpoint: url.origin, bytesMax }));
        }
        chunks.push(chunk);
      });
      incoming.on('error', fail);
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    outgoing.on('socket', (socket) => socket.once('connect', connected));
    outgoing.on('error', fail);
    outgoing.end();
  });
}
