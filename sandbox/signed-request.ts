import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { RawRequest } from './service.ts';

/** Test support: requests signed by the SDK's own signer, as raw as the sandbox gets them. */
export interface SignedRequestParts {
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  readonly service: string;
  readonly region?: string;
  readonly date: Date;
  readonly method?: string;
  /** As on the request line: already encoded once. */
  readonly path?: string;
  readonly query?: Readonly<Record<string, string | string[]>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export async function signedRequest(parts: SignedRequestParts): Promise<RawRequest> {
  const { credentials, service, region = 'eu-west-1', date, method = 'POST', path = '/', query = {} } = parts;
  const body = Buffer.from(parts.body ?? '');
  const signer = new SignatureV4({ credentials, service, region, sha256: Sha256 });
  const signed = await signer.sign(
    {
      method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path,
      query: { ...query },
      headers: { host: '127.0.0.1:4566', ...parts.headers },
      body,
    },
    { signingDate: date },
  );
  const search = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((each) => `${encodeURIComponent(name)}=${encodeURIComponent(each)}`),
  );
  return {
    method,
    target: search.length === 0 ? path : `${path}?${search.join('&')}`,
    headers: Object.entries(signed.headers),
    body,
  };
}

/** The same request with one header changed, or gone where `change` says undefined. */
export function withHeader(
  request: RawRequest,
  name: string,
  change: (value: string) => string | undefined,
): RawRequest {
  const headers = request.headers.flatMap(([other, value]): [string, string][] => {
    if (other.toLowerCase() !== name) return [[other, value]];
    const changed = change(value);
    return changed === undefined ? [] : [[other, changed]];
  });
  return { ...request, headers };
}

/** SHA-256, keyed or not, in the shape the signer wants. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: unknown) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: unknown): void {
    this.#hash.update(bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    throw new Error('not used');
  }
}

function bytesOf(data: unknown): string | Uint8Array {
  if (typeof data === 'string' || data instanceof Uint8Array) return data;
  throw new TypeError('the signer hands over text or bytes');
}
