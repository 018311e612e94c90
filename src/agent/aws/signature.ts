import { createHmac, hash } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import type { Credentials } from '../../identity/credential-source.ts';

/** A POST that is to be signed. */
export interface PostToSign {
  readonly url: URL;
  /** Names in lower case; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of its body, in hex. */
  readonly bodyHash: string;
  readonly date: Date;
}

/** What a signature is good for. */
export interface SigningScope {
  readonly region: string;
  /** As signatures name it: `logs`. */
  readonly service: string;
}

/** Signs; returns the headers with those of the signature added. */
export type Sign = (
  post: PostToSign,
  credentials: Pick<Credentials, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'>,
) => Record<string, string>;

const algorithm = 'AWS4-HMAC-SHA256';

/**
 * Signature Version 4, with the body's hash in a header, as the SDK does it.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function signature({ region, service }: SigningScope): Sign {
  /** Of the last day and secret: four hashes less for each call. */
  let derived: { readonly secret: Secret; readonly day: string; readonly key: Buffer } | undefined;

  function keyOf(secret: Secret, day: string): Buffer {
    if (derived?.secret === secret && derived.day === day) return derived.key;
    derived?.key.fill(0);
    const first = Buffer.from(`AWS4${secret.revealText()}`);
    const key = [day, region, service, 'aws4_request'].reduce<Buffer>(hmac, first);
    first.fill(0);
    derived = { secret, day, key };
    return key;
  }

  return ({ url, headers, bodyHash, date }, { accessKeyId, secretAccessKey, sessionToken }) => {
    const amzDate = date.toISOString().replaceAll(/[-:]|\.\d{3}/gu, '');
    const day = amzDate.slice(0, 8);
    const all: Record<string, string> = {
      ...headers,
      host: url.host,
      'x-amz-content-sha256': bodyHash,
      'x-amz-date': amzDate,
      ...(sessionToken === undefined ? {} : { 'x-amz-security-token': sessionToken.revealText() }),
    };
    const names = Object.keys(all).toSorted();
    const signedNames = names.join(';');
    const lines = names.map((name) => `${name}:${all[name]?.trim().replaceAll(/\s+/gu, ' ')}`);
    const canonical = ['POST', escapedPath(url), '', ...lines, '', signedNames, bodyHash].join('\n');
    const scope = `${day}/${region}/${service}/aws4_request`;
    const toSign = [algorithm, amzDate, scope, hash('sha256', canonical, 'hex')].join('\n');
    const signed = hmac(keyOf(secretAccessKey, day), toSign).toString('hex');
    all['authorization'] =
      `${algorithm} Credential=${accessKeyId}/${scope}, SignedHeaders=${signedNames}, Signature=${signed}`;
    return all;
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Escaped once more than it is sent, and without empty parts, as for every service but S3. */
function escapedPath({ pathname }: URL): string {
  const escaped = encodeURIComponent(pathname.replaceAll(/\/+/gu, '/'));
  return escaped
    .replaceAll('%2F', '/')
    .replaceAll(/[!'()*]/gu, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
