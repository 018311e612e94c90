import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';

type Algorithm = 'RS256' | 'ES256' | 'ES384' | 'ES512';

/** Claims of a token; undefined takes a usual one away. */
export type Claims = Readonly<Record<string, unknown>>;

const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' } as const;

/** An OpenID Connect provider as a test needs one: a key, and tokens signed with it for `audience`. */
export function openIdProvider({ algorithm = 'RS256' }: { readonly algorithm?: Algorithm } = {}) {
  const issuer = 'https://oidc.example.com/id/CLUSTER';
  const audience = 'sts.amazonaws.com';
  const kid = randomUUID();
  const { publicKey, privateKey } =
    algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: curves[algorithm] });
  const usual = (now: Date): Claims => {
    const seconds = Math.floor(now.getTime() / 1000);
    const subject = 'system:serviceaccount:default:app';
    return { iss: issuer, sub: subject, aud: audience, iat: seconds, exp: seconds + 3600 };
  };

  return {
    issuer,
    audience,
    /** What the account registers: `sandbox.identities.openIdProviders.create` takes it, and so does the admin path. */
    registration: {
      url: issuer,
      clientIds: [audience],
      keys: [{ ...publicKey.export({ format: 'jwk' }), kid }],
    },
    token(claims: Claims = {}, header: Claims = {}, now = new Date()): string {
      return signedToken(
        { alg: algorithm, kid, typ: 'JWT', ...header },
        { ...usual(now), ...claims },
        privateKey,
      );
    },
  };
}

/** A trust policy for one subject of a provider, as IAM's documentation has it for service accounts. */
export function trustPolicyFor(providerArn: string, subject: string, audience = 'sts.amazonaws.com'): string {
  const address = providerArn.slice(providerArn.indexOf('/') + 1);
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Federated: providerArn },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: { StringEquals: { [`${address}:sub`]: subject, [`${address}:aud`]: audience } },
      },
    ],
  });
}

function signedToken(header: Claims, claims: Claims, key: KeyObject): string {
  const signed = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const hash = `sha${String(header['alg']).slice(2)}`;
  const signature = sign(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
