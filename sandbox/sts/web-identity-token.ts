import { createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import type { OpenIdProvider, OpenIdProviders } from '../iam/open-id-providers.ts';
import { AwsError } from '../service.ts';

/** What a token proves, once its signature, its issuer, its audience and its times were found right. */
export interface WebIdentity {
  readonly provider: OpenIdProvider;
  readonly subject: string;
  /** The audience that is registered for the provider. */
  readonly audience: string;
}

/** Algorithms that STS documents: the hash of each, and for elliptic curves the one curve it goes with. */
const algorithms: Readonly<Record<string, { readonly hash: string; readonly curve?: string }>> = {
  RS256: { hash: 'sha256' },
  RS384: { hash: 'sha384' },
  RS512: { hash: 'sha512' },
  ES256: { hash: 'sha256', curve: 'P-256' },
  ES384: { hash: 'sha384', curve: 'P-384' },
  ES512: { hash: 'sha512', curve: 'P-521' },
};

/** Nothing says how far a provider's clock may be ahead; AWS's own signatures may be so far off. */
const aheadSecondsMax = 300;

const headerShape = z.object({ alg: z.string(), kid: z.string().optional() });
const claimsShape = z.object({
  iss: z.string(),
  sub: z.string().min(1),
  aud: z.union([z.string(), z.array(z.string())]),
  azp: z.string().optional(),
  exp: z.number(),
  iat: z.number(),
  nbf: z.number().optional(),
});

/**
 * Verifies a token as STS does, with code of its own.
 * Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 * @throws AwsError InvalidIdentityToken, ExpiredTokenException
 */
export function webIdentityOf(token: string, providers: OpenIdProviders, now: Date): WebIdentity {
  const [head, body, signature, ...more] = token.split('.');
  if (head === undefined || body === undefined || signature === undefined || more.length > 0) throw notJwt();
  const header = headerShape.safeParse(decoded(head));
  const document = decoded(body);
  if (!header.success || typeof document !== 'object' || document === null) throw notJwt();
  const absent = ['iss', 'sub', 'aud', 'exp', 'iat'].find((claim) => !Object.hasOwn(document, claim));
  if (absent !== undefined) throw invalid(`Missing a required claim: ${absent}`);
  const parsed = claimsShape.safeParse(document);
  if (!parsed.success) throw notJwt();
  const claims = parsed.data;

  const provider = providers.find(claims.iss);
  if (provider === undefined) {
    throw invalid(`No OpenIDConnect provider found in your account for ${claims.iss}`);
  }
  checkSignature(`${head}.${body}`, signature, header.data, provider);
  checkTimes(claims, now);
  return { provider, subject: claims.sub, audience: audienceOf(claims, provider) };
}

function checkSignature(
  signed: string,
  signature: string,
  { alg, kid }: z.infer<typeof headerShape>,
  { keys }: OpenIdProvider,
): void {
  const algorithm = Object.hasOwn(algorithms, alg) ? algorithms[alg] : undefined;
  if (algorithm === undefined) throw invalid(`Unsupported algorithm: ${alg}`);
  const jwk =
    keys.find((key) => key.kid === kid) ?? (kid === undefined && keys.length === 1 ? keys[0] : undefined);
  if (jwk === undefined) {
    throw invalid(
      "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements",
    );
  }
  const { hash, curve } = algorithm;
  const isRightKind = curve === undefined ? jwk.kty === 'RSA' : jwk.kty === 'EC' && jwk.crv === curve;
  const isRight =
    isRightKind &&
    verify(
      hash,
      Buffer.from(signed),
      // Two numbers side by side, as tokens have it, and not the DER of everything else.
      { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
  if (!isRight) throw invalid('The signature of the token is not valid');
}

function checkTimes({ exp, iat, nbf = iat }: z.infer<typeof claimsShape>, now: Date): void {
  const seconds = Math.floor(now.getTime() / 1000);
  if (exp <= seconds) {
    throw new AwsError(
      'ExpiredTokenException',
      `Token expired: current date/time ${seconds} must be before the expiration date/time ${exp}`,
    );
  }
  if (Math.max(iat, nbf) > seconds + aheadSecondsMax) throw invalid('The token is not valid yet');
}

/** Of a token for several, the party it was issued to is the one that counts. */
function audienceOf({ aud, azp }: z.infer<typeof claimsShape>, { clientIds }: OpenIdProvider): string {
  const audiences = typeof aud === 'string' ? [aud] : aud;
  const stated = azp ?? (audiences.length === 1 ? audiences[0] : undefined);
  const audience = stated ?? audiences.find((each) => clientIds.includes(each));
  if (audience === undefined || !clientIds.includes(audience)) throw invalid('Incorrect token audience');
  return audience;
}

function decoded(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function notJwt(): AwsError {
  return invalid(
    'The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)',
  );
}

function invalid(message: string): AwsError {
  return new AwsError('InvalidIdentityToken', message);
}
