import type { Clock } from '../../base/clock.ts';
import type { GatehouseError } from '../../base/errors.ts';
import { type CredentialSource, unexpired } from '../credential-source.ts';
import { type CertificateFiles, readCertifiedKey } from './certified-key.ts';
import { createSession, type Post } from './create-session.ts';
import { type EndpointChoice, rolesAnywhereEndpoint } from './endpoint.ts';
import { placeOf, requestProblems, type SessionRequest } from './session-request.ts';

/** `credentials.rolesAnywhere`, as far as our own signer goes. */
export interface RolesAnywhereIdentity extends CertificateFiles, SessionRequest {
  /** Where to ask; where the trust anchor is, if it is not given. */
  readonly region?: string | undefined;
}

export interface RolesAnywhereContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly endpoint: EndpointChoice;
  readonly post: Post;
  /** Told of a key that others may read, or write, which is refused otherwise. */
  readonly onExposedKey?: (problem: GatehouseError) => void;
}

/** Credentials for an X.509 certificate from IAM Roles Anywhere, signed here. The files are read at each load. */
export function rolesAnywhere(
  identity: RolesAnywhereIdentity,
  context: RolesAnywhereContext,
): CredentialSource {
  const { clock, env, post, onExposedKey } = context;
  return {
    name: 'roles-anywhere',
    absence: 'it always applies',

    async load(signal) {
      signal.throwIfAborted();
      const [wrong] = requestProblems(identity);
      if (wrong !== undefined) throw wrong;
      const { certified, problems } = readCertifiedKey(identity, env, clock.now());
      for (const problem of problems) {
        if (problem.code !== 'PRIVATE_KEY_EXPOSED' || onExposedKey === undefined) throw problem;
        onExposedKey(problem);
      }
      if (certified === undefined) throw new TypeError('nothing was read and nothing was wrong');
      const place = placeOf(identity.trustAnchorArn, 'trust-anchor');
      const region = identity.region ?? place?.region ?? '';
      const endpoint = rolesAnywhereEndpoint({ region, partition: place?.partition ?? '' }, context.endpoint);
      const session = { endpoint, region, post, clock };
      return unexpired(await createSession(identity, certified, session, signal), clock.now());
    },
  };
}

/**
 * Everything that is wrong with the identity of this host, as far as that can be told without asking AWS: request,
 * files, key, certificate, chain. Nothing is thrown. For `whoami --check` and `doctor`.
 */
export function rolesAnywhereProblems(
  identity: RolesAnywhereIdentity,
  { env, clock }: Pick<RolesAnywhereContext, 'env' | 'clock'>,
): readonly GatehouseError[] {
  const { problems } = readCertifiedKey(identity, env, clock.now());
  return [...requestProblems(identity), ...problems];
}
