import type { Post } from '../../identity/roles-anywhere/create-session.ts';
import type { AwsReach } from './aws-reach.ts';

/**
 * Posts one request to AWS, by way of the proxy and under the authorities that `reach` names: for what the SDK does
 * not know, and for commands that the SDK would make ten times slower. One connection each: there is one request an
 * hour. Node's own modules are taken when they are needed, as an import of them costs 40 ms (it runs every getter).
 */
export function awsPost({ proxyEnv, ca }: Pick<AwsReach, 'proxyEnv' | 'ca'>): Post {
  return ({ url, headers, body, replyBytesMax }, signal) =>
    new Promise((resolve, reject) => {
      const isTls = url.protocol === 'https:';
      const { request } = isTls
        ? process.getBuiltinModule('node:https')
        : process.getBuiltinModule('node:http');
      const agent = isTls ? tlsAgent(proxyEnv, ca) : undefined;
      const fail = (error: unknown): void => {
        agent?.destroy();
        reject(signal.aborted ? signal.reason : error);
      };
      const length = String(Buffer.byteLength(body));
      const options = {
        method: 'POST',
        headers: { ...headers, 'content-length': length },
        agent: agent ?? (false as const),
        signal,
      };
      const outgoing = request(url, options, (incoming) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > replyBytesMax) incoming.destroy(new Error('the answer is longer than it may be'));
          chunks.push(chunk);
        });
        incoming.on('error', fail);
        incoming.on('end', () => {
          agent?.destroy();
          resolve({
            status: incoming.statusCode ?? 0,
            header: (name) => {
              const value = incoming.headers[name];
              return Array.isArray(value) ? value[0] : value;
            },
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      });
      outgoing.on('error', fail);
      outgoing.end(body);
    });
}

function tlsAgent(proxyEnv: AwsReach['proxyEnv'], ca: string | undefined) {
  const { Agent } = process.getBuiltinModule('node:https');
  return new Agent({
    keepAlive: false,
    minVersion: 'TLSv1.2',
    proxyEnv,
    ...(ca === undefined ? {} : { ca }),
  });
}
