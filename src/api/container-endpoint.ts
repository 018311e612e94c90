import { accessToken } from './access-token.ts';
import { containerDocument } from './credential-document.ts';
import { type Consumer, type Endpoint, notFound, type OnRefused, onlyGet, problem } from './endpoint.ts';

/** A consumer that has a token for the container endpoint. */
export interface TokenConsumer extends Consumer {
  accepts(token: string): boolean;
}

/** With a consumer's name behind it, what that one's AWS_CONTAINER_CREDENTIALS_FULL_URI ends with. */
const prefix = '/credentials/';

/** Accepts nothing. */
const nobody = accessToken();

/**
 * The container endpoint: each consumer has a path and a token of its own, and neither is good for another's.
 * Who is not known and who has the wrong token are answered alike, so that nobody learns which consumers there are.
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
export function containerEndpoint(
  find: (name: string) => TokenConsumer | undefined,
  onRefused: OnRefused,
): Endpoint {
  return async ({ method, path, headers }, signal) => {
    if (!path.startsWith(prefix)) return notFound;
    if (method !== 'GET') return onlyGet;
    const consumer = find(path.slice(prefix.length));
    const { authorization: token } = headers;
    const named = consumer === undefined ? {} : { consumer: consumer.name };

    if (token === undefined) {
      onRefused({ reason: 'no token', ...named });
      return problem(401, 'TokenMissing', 'the Authorization header must hold the token of the consumer');
    }
    // A consumer that is not there costs as much time as one that is.
    const isAccepted = (consumer ?? nobody).accepts(token);
    if (consumer === undefined || !isAccepted) {
      onRefused({ reason: consumer === undefined ? 'unknown consumer' : 'wrong token', ...named });
      return problem(403, 'TokenRefused', 'the token is not the one of the consumer that the path names');
    }
    return { status: 200, body: containerDocument(await consumer.credentials(signal)) };
  };
}
