import type { webcrypto } from 'node:crypto';
import { AwsError } from '../service.ts';

/** A JSON Web Key that a provider publishes: public, and told from others by its id. */
export interface ProviderKey extends webcrypto.JsonWebKey {
  readonly kid: string;
}

/** An OpenID Connect provider that the account trusts. */
export interface OpenIdProvider {
  readonly arn: string;
  /** What tokens have as `iss`: https, without a slash at the end. */
  readonly url: string;
  /** Audiences that are registered for it. */
  readonly clientIds: readonly string[];
  /** What would be fetched from its `jwks_uri`. Change them at will, as a provider does that rotates its keys. */
  keys: readonly ProviderKey[];
}

export interface OpenIdProviders {
  /** @throws AwsError as IAM's CreateOpenIDConnectProvider */
  create(request: Omit<OpenIdProvider, 'arn'>): OpenIdProvider;
  /** @param issuer as in a token's `iss` */
  find(issuer: string): OpenIdProvider | undefined;
  list(): readonly OpenIdProvider[];
  restore(providers: readonly OpenIdProvider[]): void;
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const clientIdsMax = 100;

export function createOpenIdProviders(accountId: string): OpenIdProviders {
  const providers = new Map<string, OpenIdProvider>();

  return {
    create({ url, clientIds, keys }) {
      if (!/^https:\/\/[^/?#]+[^?#]*$/u.test(url) || url.length > 255) {
        throw new AwsError('ValidationError', 'Invalid Open ID Connect Provider URL');
      }
      if (clientIds.length > clientIdsMax) {
        throw new AwsError(
          'LimitExceeded',
          `Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: ${clientIdsMax}`,
          409,
        );
      }
      const bare = url.replace(/\/$/u, '');
      if (providers.has(bare)) {
        throw new AwsError('EntityAlreadyExists', `Provider with url ${url} already exists.`, 409);
      }
      const arn = `arn:aws:iam::${accountId}:oidc-provider/${bare.slice('https://'.length)}`;
      const provider = { arn, url: bare, clientIds, keys };
      providers.set(bare, provider);
      return provider;
    },

    find: (issuer) => providers.get(issuer.replace(/\/$/u, '')),
    list: () => [...providers.values()],

    restore(kept) {
      for (const provider of kept) providers.set(provider.url, provider);
    },
  };
}
