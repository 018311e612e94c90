import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { credentialsPath, type SessionRequest, sessionQuery } from './consumer-session.ts';
import { apiError } from './errors.ts';

/** Where the sockets of consumers are, in the runtime directory: NAME.sock for each. */
const consumersFolder = 'consumers';
const socketSuffix = '.sock';

/** The socket of a consumer. */
export function consumerSocketPath(runtimeDirectory: string, consumer: string): string {
  return join(runtimeDirectory, consumersFolder, `${consumer}${socketSuffix}`);
}

/** An agent answers from memory in a millisecond; one that does not is not worth waiting for. */
const answerWithinMs = 2_000;
/** As many as a gateway config may have. */
const socketsMax = 200;
/** Session tokens are about 1 KiB. */
const replyBytesMax = 64 * 1024;

/**
 * The credentials that the running agent has for just this session, as a credential_process prints them: from the first
 * consumer whose socket the caller can open and that has them. Undefined where there is none, for whatever reason: the
 * caller then gets a session of its own.
 */
export async function sessionFromAgent(
  runtimeDirectory: string,
  session: SessionRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const folder = join(runtimeDirectory, consumersFolder);
  const sockets = namesIn(folder)
    .filter((name) => name.endsWith(socketSuffix))
    .slice(0, socketsMax);
  const path = `${credentialsPath}?${sessionQuery(session)}`;
  for (const name of sockets) {
    const reply = await ask(join(folder, name), path, clock, signal).catch(() => undefined);
    signal.throwIfAborted();
    if (reply?.status === 200) return reply.text;
  }
  return undefined;
}

/** An SDK waits for this, and has nothing else to do: what reads folders asynchronously takes longer to load. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * The credentials of one consumer, as a credential_process prints them.
 * @throws CONSUMER_SOCKET_MISSING, CONSUMER_SOCKET_DENIED, CONSUMER_NOT_SERVED
 */
export async function consumerFromAgent(
  runtimeDirectory: string,
  consumer: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<string> {
  const socket = consumerSocketPath(runtimeDirectory, consumer);
  const reply = await ask(socket, credentialsPath, clock, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw unasked(error, socket);
  });
  if (reply.status === 200) return reply.text;
  throw apiError('CONSUMER_NOT_SERVED', { socket, status: reply.status, reason: codeIn(reply.text) });
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

function ask(socketPath: string, path: string, clock: Clock, signal: AbortSignal): Promise<Reply> {
  return clock.deadline(answerWithinMs, 'the agent', signal, (within) => exchange(socketPath, path, within));
}

/** One request on a connection of its own, by hand: to load HTTP takes as long as all the rest of the command. */
function exchange(socketPath: string, path: string, signal: AbortSignal): Promise<Reply> {
  const { connect } = process.getBuiltinModule('node:net');
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    const pieces: Buffer[] = [];
    let length = 0;
    const onAbort = (): void => void socket.destroy(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('connect', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    });
    socket.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length > replyBytesMax) socket.destroy(new RangeError('reply too long'));
      else pieces.push(piece);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      signal.removeEventListener('abort', onAbort);
      const reply = replyIn(Buffer.concat(pieces).toString('utf8'));
      if (reply === undefined) reject(new RangeError('no whole reply'));
      else resolve(reply);
    });
  });
}

/** Undefined for what is no whole reply of ours: each says its length. */
function replyIn(text: string): Reply | undefined {
  const [, status, headers = '', body = ''] =
    /^HTTP\/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n(.*)$/su.exec(text) ?? [];
  const [, length] = /^content-length: (\d{1,9})$/imu.exec(headers) ?? [];
  if (status === undefined || length === undefined || Buffer.byteLength(body) !== Number(length)) {
    return undefined;
  }
  return { status: Number(status), text: body };
}

function unasked(error: unknown, socket: string): Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EACCES' || code === 'EPERM') return apiError('CONSUMER_SOCKET_DENIED', { socket }, error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return apiError('CONSUMER_SOCKET_MISSING', { socket }, error);
  }
  return apiError('CONSUMER_NOT_SERVED', { socket }, error);
}

/** Codes are words of ours; whatever else may be there is not repeated. */
function codeIn(text: string): string | undefined {
  return /"code":"(\w{1,60})"/u.exec(text)?.[1];
}
