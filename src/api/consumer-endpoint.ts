import { credentialsPath, type SessionRequest, sessionQuery } from './consumer-session.ts';
import { processDocument } from './credential-document.ts';
import { type Consumer, type Endpoint, notFound, type OnRefused, onlyGet, problem } from './endpoint.ts';

/** A consumer behind a socket of its own: who could open it is that consumer. */
export interface SocketConsumer extends Consumer {
  /** The session that its credentials are of; undefined where they are of no such session. */
  session(): SessionRequest | undefined;
}

/**
 * The endpoint of `consumers/NAME.sock`: `GET /credentials` answers what a credential_process prints. `find` gives
 * undefined when the consumer has left the gateway config while its socket, opened by systemd, is still there.
 */
export function consumerEndpoint(find: () => SocketConsumer | undefined, onRefused: OnRefused): Endpoint {
  return async ({ method, path, query }, signal) => {
    if (path !== credentialsPath) return notFound;
    if (method !== 'GET') return onlyGet;
    const consumer = find();
    if (consumer === undefined) {
      onRefused({ reason: 'unknown consumer' });
      return problem(404, 'ConsumerUnknown', 'the gateway config names no consumer for this socket');
    }
    if (query !== '' && !isSame(query, consumer.session())) {
      return problem(
        409,
        'SessionDiffers',
        'this consumer has credentials of another session than asked for',
      );
    }
    return { status: 200, body: processDocument(await consumer.credentials(signal)) };
  };
}

function isSame(query: string, session: SessionRequest | undefined): boolean {
  if (session === undefined) return false;
  const asked = new URLSearchParams(query);
  const has = new URLSearchParams(sessionQuery(session));
  asked.sort();
  has.sort();
  return asked.toString() === has.toString();
}
