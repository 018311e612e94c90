import { request } from 'node:http';
import { apiError } from './errors.ts';

export interface SocketReply {
  readonly status: number;
  /** The parsed JSON body. */
  readonly body: unknown;
}

const replyBytesMax = 8 * 1024 * 1024;

/**
 * Asks the agent behind a unix socket.
 * @throws AGENT_NOT_RUNNING when nobody listens, AGENT_ACCESS_DENIED, AGENT_REPLY_INVALID
 */
export async function askSocket(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  signal: AbortSignal,
): Promise<SocketReply> {
  const { status, text } = await exchange(socketPath, method, path, signal);
  try {
    return { status, body: JSON.parse(text) };
  } catch (error) {
    throw apiError('AGENT_REPLY_INVALID', { socket: socketPath, status }, error);
  }
}

function exchange(
  socketPath: string,
  method: string,
  path: string,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(translated(error, socketPath));
    const outgoing = request(
      { socketPath, method, path, signal, headers: { connection: 'close' } },
      (reply) => {
        const pieces: Buffer[] = [];
        let length = 0;
        reply.on('data', (piece: Buffer) => {
          length += piece.length;
          if (length > replyBytesMax) reply.destroy(new RangeError('reply too long'));
          else pieces.push(piece);
        });
        reply.on('error', fail);
        reply.on('end', () =>
          resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
        );
      },
    );
    outgoing.on('error', fail);
    outgoing.end();
  });
}

function translated(error: unknown, socket: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return apiError('AGENT_NOT_RUNNING', { socket }, error);
  if (code === 'EACCES' || code === 'EPERM') return apiError('AGENT_ACCESS_DENIED', { socket }, error);
  return apiError('AGENT_REPLY_INVALID', { socket }, error);
}
