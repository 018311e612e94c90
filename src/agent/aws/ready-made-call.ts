import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { isLocalAddress } from '../../base/local-address.ts';
import { agentError } from '../errors.ts';
import {
  type AwsClientOptions,
  repeatedIfDenied,
  requestTimeoutMs,
  socketsMax,
  userAgent,
} from './aws-client.ts';
import type { AwsReach } from './aws-reach.ts';
import { signature } from './signature.ts';

/**
 * Makes one call with this body and headers; answers the JSON that AWS answered. Fails as the SDK does: an error of
 * AWS has its name, `$fault` and `$metadata`, one of the network has Node's `code`.
 */
export type ReadyMadeCall = (
  body: Buffer,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
) => Promise<unknown>;

interface ReadyMadeCalls {
  readonly call: ReadyMadeCall;
  readonly close: () => void;
}

export interface ReadyMadeCallOptions
  extends Pick<AwsClientOptions, 'region' | 'credentials' | 'denials'>,
    Pick<AwsReach, 'proxyEnv' | 'ca'> {
  /** Where the SDK would send it. Asked once, and again as long as it fails. */
  endpoint(): Promise<URL>;
  /** As the SDK names it: `CloudWatch Logs`. */
  readonly serviceId: string;
  /** As signatures name it: `logs`. */
  readonly signingName: string;
  /** As `X-Amz-Target` names it. */
  readonly target: string;
  /** SHA-256 of a body, in hex. */
  readonly hashOf: (body: Buffer) => string;
  /** How long no byte may go either way, connecting included. */
  readonly idleMs?: number;
  readonly clock: Pick<Clock, 'now'>;
}

/** Answers of calls with a large body are short. */
const replyBytesMax = 1024 * 1024;
/** AWS refuses a signature whose date is five minutes off; a clock that is off by less is not why. */
const skewMsMin = 4 * 60_000;

/**
 * Calls of one operation over JSON 1.1, past the SDK's client, which takes 1.5 ms of CPU for each: as much as hashing
 * and sending a megabyte. Endpoint, time limits and what is done about denied credentials are those of our clients.
 */
export function readyMadeCall(options: ReadyMadeCallOptions): ReadyMadeCalls {
  const { region, serviceId, signingName, target, hashOf, denials, clock } = options;
  const sign = signature({ region, service: signingName });
  const connections = connectionsBy(options);
  let endpoint: URL | undefined;
  /** What AWS's clock is ahead of ours, as far as that matters. */
  let skewMs = 0;

  async function attempt(
    body: Buffer,
    headers: Readonly<Record<string, string>>,
    signedBy: (accessKeyId: string) => void,
    signal: AbortSignal,
  ): Promise<Reply> {
    endpoint ??= withoutPlainHttp(await options.endpoint());
    const credentials = await options.credentials();
    signedBy(credentials.accessKeyId);
    const date = new Date(clock.now().getTime() + skewMs);
    const all = { ...headers, 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target };
    const signed = sign({ url: endpoint, headers: all, bodyHash: hashOf(body), date }, credentials);
    signed['user-agent'] = userAgentText;
    const reply = await connections.post(endpoint, signed, body, signal);
    const aheadMs = Date.parse(reply.date) - clock.now().getTime();
    const isSkewed = Math.abs(aheadMs - skewMs) >= skewMsMin;
    if (isSkewed) skewMs = aheadMs;
    return isSkewed && reply.status === 400 ? { ...reply, isSkewed } : reply;
  }

  return {
    async call(body, headers, signal) {
      let accessKeyId: string | undefined;
      const once = (): Promise<Reply> => attempt(body, headers, (id) => (accessKeyId = id), signal);
      return repeatedIfDenied(
        async () => {
          const reply = await once();
          return answerIn(reply.isSkewed === true ? await once() : reply);
        },
        { service: serviceId, denials, signer: () => accessKeyId },
      );
    },
    close: () => connections.close(),
  };
}

const userAgentText = userAgent.map((part) => part.join('/')).join(' ');

/** As for the SDK's clients: only this host and its link are reached without TLS. */
function withoutPlainHttp(url: URL): URL {
  if (url.protocol === 'https:' || isLocalAddress(url.hostname)) return url;
  throw agentError('AWS_ENDPOINT_INSECURE', {
    variable: 'endpoint_url in the AWS config file',
    host: url.host,
  });
}

interface Reply {
  readonly status: number;
  readonly date: string;
  readonly requestId: string | undefined;
  readonly errorType: string | undefined;
  readonly body: Buffer;
  /** The clock was off by so much that this may be why it was refused. */
  readonly isSkewed?: boolean;
}

function connectionsBy({
  proxyEnv,
  ca,
  idleMs = requestTimeoutMs,
}: Pick<ReadyMadeCallOptions, 'proxyEnv' | 'ca' | 'idleMs'>) {
  // Node's own modules are taken when they are needed: an import of them runs every getter.
  const { Agent: HttpAgent, request: overHttp } = process.getBuiltinModule('node:http');
  const { Agent: HttpsAgent, request: overHttps } = process.getBuiltinModule('node:https');
  const kept = { keepAlive: true, maxSockets: socketsMax, timeout: idleMs };
  const plain = new HttpAgent(kept);
  const tls = new HttpsAgent({ ...kept, proxyEnv, ...(ca === undefined ? {} : { ca }) });

  return {
    post: (url: URL, headers: Record<string, string>, body: Buffer, signal: AbortSignal): Promise<Reply> =>
      new Promise((resolve, reject) => {
        const isTls = url.protocol === 'https:';
        const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
        const given = { method: 'POST', headers: { ...headers, 'content-length': body.length }, signal };
        const outgoing = isTls
          ? overHttps(url, { ...given, agent: tls }, take)
          : overHttp(url, { ...given, agent: plain }, take);
        outgoing.on('error', fail);
        outgoing.on('timeout', () => outgoing.destroy(timeoutError()));
        outgoing.end(body);

        function take(incoming: IncomingMessage): void {
          const pieces: Buffer[] = [];
          let bytes = 0;
          incoming.on('data', (piece: Buffer) => {
            bytes += piece.length;
            if (bytes > replyBytesMax) incoming.destroy(new Error('the answer is longer than it may be'));
            pieces.push(piece);
          });
          incoming.on('error', fail);
          incoming.on('end', () => resolve(replyOf(incoming, Buffer.concat(pieces))));
        }
      }),

    close() {
      plain.destroy();
      tls.destroy();
    },
  };
}

/** As the SDK names it. */
function timeoutError(): Error {
  return Object.assign(new Error('no byte went either way'), { name: 'TimeoutError' });
}

function replyOf({ statusCode = 0, headers }: IncomingMessage, body: Buffer): Reply {
  const text = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  return {
    status: statusCode,
    date: text('date') ?? '',
    requestId: text('x-amzn-requestid') ?? text('x-amz-request-id'),
    errorType: text('x-amzn-errortype'),
    body,
  };
}

/** @throws what AWS answered instead, in the form of the SDK's errors */
function answerIn(reply: Reply): unknown {
  const { status, body } = reply;
  if (status >= 200 && status < 300) {
    const answer = body.length === 0 ? {} : parsed(body);
    if (answer !== undefined) return answer;
  }
  throw errorIn(reply);
}

function errorIn({ status, requestId, errorType, body }: Reply): Error {
  const answer = parsed(body) ?? {};
  const type = errorType ?? member(answer, '__type') ?? member(answer, 'code');
  // `com.amazonaws.logs#ThrottlingException`, or with a URL behind a colon.
  const name = type?.replace(/:.*/u, '').replace(/.*#/u, '');
  const message = member(answer, 'message') ?? member(answer, 'Message') ?? `answered ${status}`;
  return Object.assign(new Error(message), {
    name: name ?? 'UnknownError',
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status, requestId },
  });
}

/** Undefined where it is no JSON object: a proxy's page, or half an answer. */
function parsed(body: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function member(answer: object, name: string): string | undefined {
  const value: unknown = Reflect.get(answer, name);
  return typeof value === 'string' ? value : undefined;
}
