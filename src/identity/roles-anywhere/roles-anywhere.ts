import type { Clock } from '../../base/clock.ts';
import type { GatehouseError } from '../../base/errors.ts';
import { type CredentialSource, unexpired } from '../credential-source.ts';
import { type CertificateFiles, readCertifiedKey } from './certified-key.ts';
import { type CertifiedKeysOptions, certifiedKeys } from './certified-keys.ts';
import { createSession, type Post } from './create-session.ts';
import { type EndpointChoice, rolesAnywhereEndpoint } from './endpoint.ts';
import { placeOf, requestProblems, type SessionRequest } from './session-request.ts';

/** `credentials.rolesAnywhere`, as far as our own signer goes. */
export interface RolesAnywhereIdentity extends CertificateFiles, SessionRequest {
  /** Where to ask; where the trust anchor is, if it is not given. */
  readonly region?: string | undefined;
}

export interface RolesAnywhereContext extends CertifiedKeysOptions {
  readonly clock: Clock;
  readonly endpoint: EndpointChoice;
  readonly post: Post;
  /** Told the `Date` of every answer: `clock` may go by it. */
  readonly serverTime?: ((date: string) => void) | undefined;
}

/** Credentials for an X.509 certificate from IAM Roles Anywhere, signed here. */
export function rolesAnywhere(
  identity: RolesAnywhereIdentity,
  context: RolesAnywhereContext,
): CredentialSource {
  const { clock, post, serverTime } = context;
  const keys = certifiedKeys(identity, context);
  return {
    name: 'roles-anywhere',
    absence: 'it always applies',

    async load(signal) {
      signal.throwIfAborted();
      const [wrong] = requestProblems(identity);
      if (wrong !== undefined) throw wrong;
      const certified = await keys.current(clock.now());
      const place = placeOf(identity.trustAnchorArn, 'trust-anchor');
      const region = identity.region ?? place?.region ?? '';
      const endpoint = rolesAnywhereEndpoint({ region, partition: place?.partition ?? '' }, context.endpoint);
      const session = { endpoint, region, post, clock, serverTime };
      const { credentials, skewMs } = await createSession(identity, certified, session, signal);
      return unexpired(credentials, new Date(clock.now().getTime() + skewMs));
    },
  };
}

/**
 * Everything that is wrong with the identity of this host, as far as that can be told without asking AWS: request,
 * files, key, certificate, chain. Nothing is thrown. For `whoami --check`.
 */
export async function rolesAnywhereProblems(
  identity: RolesAnywhereIdentity,
  { env, clock }: Pick<RolesAnywhereContext, 'env' | 'clock'>,
): Promise<readonly GatehouseError[]> {
  const { problems } = await readCertifiedKey(identity, env, clock.now());
  return [...requestProblems(identity), ...problems];
}
