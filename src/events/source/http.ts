import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { aborted } from '../../base/aborted.ts';
import type { Clock } from '../../base/clock.ts';
import { isLocalAddress } from '../../base/local-address.ts';
import type { Log } from '../../base/log-events.ts';
import type { EventSource } from '../event-source.ts';
import { parseExactly } from '../exact-json.ts';
import { addressOf } from './address.ts';
import { connectionsMax, listenOn, removeSocket, untilListening } from './listen.ts';
import { pieces } from './pieces.ts';
import { type Pushed, pushed } from './pushed.ts';

export interface HttpSourceOptions {
  readonly name: string;
  /** A loopback address or a unix socket. */
  readonly listen: string;
  /** Mode of the socket, in octal digits. */
  readonly mode: string;
  readonly queueBytesMax?: number;
  /** Of all requests that are still coming. */
  readonly comingBytesMax?: number;
  /** By Node's own timers. */
  readonly requestTimeoutMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when it listens, and where. */
  readonly onListening?: (port: number | undefined) => void;
}

/** One request's body, inflated. */
export const requestBytesMax = 1024 * 1024;
/** Read to its end all the same, so that who sends it hears why it is refused; of a longer one the connection is cut. */
const drainedBytesMax = 16 * requestBytesMax;
/** As many requests of full length as there may be connections would be 256 MiB. */
const comingBytesMax = 16 * requestBytesMax;
/**
 * Of one connection, that are not answered yet: one connection could have as many as there is room for in the queue, tens
 * of thousands while the spool is full, and each costs ten thousand bytes.
 */
const unansweredMax = 8;
/** For all of a request to come; one that takes longer keeps its connection from others. */
const requestTimeoutMs = 30_000;
/** How often in that time it is looked whether one took longer. By itself Node looks every 30 seconds. */
const looksInTimeout = 15;
const headerBytesMax = 8_192;
const retryAfterSeconds = 1;
/** What has not left the queue by then is given back to whoever sent it, who is not to wait for a disk or an outage. */
export const roomWithinMs = 5_000;

const inflate = promisify(gunzip);

interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Lines by HTTP: `POST /` with text/plain (a line each) or JSON (a value, an array or a line each). Answers 200 only
 * when they are in the spool. Guarantee on kill: what was answered with 200 is not lost; what was not may be there or
 * not, so a client that sends again repeats rather than loses. A full queue answers 429, a stop 503.
 */
export function httpSource(options: HttpSourceOptions): EventSource {
  const { name, listen: addressName, mode, queueBytesMax, clock, log, onListening } = options;
  const comingMax = options.comingBytesMax ?? comingBytesMax;
  /** One that has no more of it is taken all the same: whoever fills it with what does not end holds up nothing short. */
  const comingShare = comingMax / connectionsMax;
  const timeoutMs = options.requestTimeoutMs ?? requestTimeoutMs;
  const address = addressOf(addressName);
  let isStopping = false;
  let comingBytes = 0;
  const unanswered = new WeakMap<Socket, number>();
  let failing: string | undefined;
  const source: Pushed = pushed({
    ...(queueBytesMax === undefined ? {} : { queueBytesMax }),
    clock,
    listen,
  });

  function noteFailing(reason: string | undefined): void {
    failing = reason;
  }

  async function listen(signal: AbortSignal): Promise<void> {
    const server = createServer(
      {
        maxHeaderSize: headerBytesMax,
        requestTimeout: timeoutMs,
        connectionsCheckingInterval: timeoutMs / looksInTimeout,
      },
      (request, response) => {
        void serve(request, response);
      },
    );
    const where = { source: name, name: addressName, address, mode: Number.parseInt(mode, 8), clock, log };
    await untilListening(() => listenOn(server, where), where, noteFailing, signal);
    if (server.listening) {
      const bound = server.address();
      onListening?.(typeof bound === 'object' ? bound?.port : undefined);
      await aborted(signal);
    }
    isStopping = true;
    server.close();
    server.closeIdleConnections();
    await removeSocket(address);
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const { status, body } = await answerTo(request, gone.signal).catch(
      (): Reply => ({ status: 400, body: { message: 'the request broke off' } }),
    );
    const text = Buffer.from(`${JSON.stringify(body)}\n`);
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    response.setHeader('content-length', text.length);
    if (status === 429 || status === 503) response.setHeader('retry-after', retryAfterSeconds);
    // What was not read to its end, and a stop, leave nothing to go on with.
    if (isStopping || !request.complete) response.setHeader('connection', 'close');
    response.end(text);
  }

  async function answerTo(request: IncomingMessage, gone: AbortSignal): Promise<Reply> {
    if (isStopping) return { status: 503, body: { message: 'the agent is stopping' } };
    const refusal = refusalOf(request);
    if (refusal !== undefined) return refusal;
    const raw = await bodyOf(request);
    if (!Buffer.isBuffer(raw)) return raw;
    const { socket } = request;
    const before = unanswered.get(socket) ?? 0;
    if (before >= unansweredMax) return noRoom();
    unanswered.set(socket, before + 1);
    try {
      return await answerToBody(raw, request, gone);
    } finally {
      unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1);
    }
  }

  async function answerToBody(raw: Buffer, { headers }: IncomingMessage, gone: AbortSignal): Promise<Reply> {
    const bytes = await inflated(raw, headers['content-encoding']);
    if (bytes === undefined)
      return { status: 400, body: { message: 'not gzip, or too large when inflated' } };
    const lines = linesOf(bytes, headers['content-type']);
    if (typeof lines === 'string') return { status: 400, body: { message: lines } };
    if (lines.length === 0) return { status: 200, body: { events: 0 } };
    const durable = Promise.withResolvers<void>();
    if (!source.push(lines, false, durable.resolve)) return noRoom();
    const over = new AbortController();
    const late = clock.sleep(roomWithinMs, AbortSignal.any([gone, over.signal])).catch(() => undefined);
    const isInTime = await Promise.race([durable.promise.then(() => true), late.then(() => false)]);
    over.abort();
    if (!isInTime && source.withdraw(durable.resolve)) return noRoom();
    // Some of it may be there.
    await durable.promise;
    return { status: 200, body: { events: countLines(lines) } };
  }

  /** The body, or what is said where it is not taken. */
  async function bodyOf(request: IncomingMessage): Promise<Buffer | Reply> {
    let held = pieces();
    let length = 0;
    let refusal: Reply | undefined;
    const letGo = (): void => {
      comingBytes -= held.bytes;
      held = pieces();
    };
    try {
      for await (const piece of request as AsyncIterable<Buffer>) {
        length += piece.length;
        if (length > drainedBytesMax) return tooLarge();
        if (length > requestBytesMax) refusal = tooLarge();
        else if (comingBytes + piece.length > comingMax && length > comingShare) refusal ??= noRoom();
        if (refusal === undefined) {
          held.add(piece);
          comingBytes += piece.length;
        } else letGo();
      }
      return refusal ?? held.joined();
    } finally {
      letGo();
    }
  }

  return {
    ...source,
    counts: () => ({ ...source.counts(), ...(failing === undefined ? {} : { failing }) }),
  };
}

function refusalOf({ method, headers }: IncomingMessage): Reply | undefined {
  // A page in a browser on this host must not be able to write into its logs.
  const host = (headers.host ?? 'localhost').replace(/:\d+$/u, '');
  if (headers.origin !== undefined || !isLocalAddress(host)) {
    return { status: 403, body: { message: 'not for browsers: no Origin, and a local Host' } };
  }
  if (method !== 'POST') return { status: 405, body: { message: 'POST lines or JSON' } };
  const length = Number(headers['content-length'] ?? 0);
  return length > drainedBytesMax ? tooLarge() : undefined;
}

function noRoom(): Reply {
  return { status: 429, body: { message: 'there is no room for it now; nothing was taken' } };
}

function tooLarge(): Reply {
  return { status: 413, body: { message: `at most ${requestBytesMax} bytes` } };
}

async function inflated(raw: Buffer, encoding: string | undefined): Promise<Buffer | undefined> {
  if (encoding === undefined || encoding === 'identity') return raw;
  if (encoding !== 'gzip') return undefined;
  return inflate(raw, { maxOutputLength: requestBytesMax }).catch(() => undefined);
}

/** Lines, each with its end; or what is wrong with the body. */
function linesOf(bytes: Buffer, contentType = 'text/plain'): Buffer | string {
  const [type = ''] = contentType.split(';', 1);
  switch (type.trim().toLowerCase()) {
    case 'text/plain':
    case 'application/x-www-form-urlencoded': // What curl --data-binary says when it is told nothing.
      return ended(bytes);
    case 'application/x-ndjson':
    case 'application/jsonl':
      return jsonLines(bytes);
    case 'application/json':
      return jsonValues(bytes);
    default:
      return 'the content type must be text/plain, application/json or application/x-ndjson';
  }
}

function ended(bytes: Buffer): Buffer {
  return bytes.length === 0 || bytes.at(-1) === 0x0a ? bytes : Buffer.concat([bytes, Buffer.from('\n')]);
}

function jsonLines(bytes: Buffer): Buffer | string {
  const lines = bytes
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const wrong = lines.findIndex((line) => parsed(line) === undefined);
  return wrong < 0 ? Buffer.from(lines.map((line) => `${line}\n`).join('')) : `line ${wrong + 1} is not JSON`;
}

/** A value, or each of an array, on a line of its own. */
function jsonValues(bytes: Buffer): Buffer | string {
  const value = parsed(bytes.toString('utf8'));
  if (value === undefined) return 'the body is not JSON';
  const values: readonly unknown[] = Array.isArray(value.json) ? value.json : [value.json];
  return Buffer.from(values.map((each) => `${JSON.stringify(each)}\n`).join(''));
}

function parsed(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: parseExactly(text) };
  } catch {
    return undefined;
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) count += 1;
  return count;
}
