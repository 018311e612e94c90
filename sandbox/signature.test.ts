import { createHmac, hash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createIdentities } from './identities.ts';
import type { RawRequest } from './service.ts';
import { canonicalPath, canonicalQuery, SignatureRefusal, verifySignature } from './signature.ts';
import { type SignedRequestParts, signedRequest, withHeader } from './signed-request.ts';

const now = new Date('2026-11-22T12:00:00Z');

function setup() {
  const identities = createIdentities('123456789012', () => now);
  const user = identities.createUser('alice');
  identities.createRole('Host');
  const session = identities.issueSession({ role: 'Host', sessionName: 'test', durationSeconds: 900 });
  const sign = (parts: Partial<SignedRequestParts> = {}) =>
    signedRequest({ credentials: user, service: 'kms', date: now, body: '{}', ...parts });
  const expected = { service: 'kms', region: 'eu-west-1', now, findKey: identities.find };
  const verify = (request: RawRequest, at: Date = now) => verifySignature(request, { ...expected, now: at });
  const refusal = (request: RawRequest, at: Date = now): string => {
    try {
      verify(request, at);
    } catch (error) {
      if (error instanceof SignatureRefusal) return `${error.reason}: ${error.message}`;
      throw error;
    }
    return 'accepted';
  };
  return { identities, user, session, sign, verify, refusal };
}

/** A request signed by hand, for what the SDK's signer would never send. */
function handSigned(
  secret: string,
  accessKeyId: string,
  request: RawRequest,
  canonicalHeaders: readonly string[],
  path = '/',
): RawRequest {
  const names = canonicalHeaders.map((line) => line.slice(0, line.indexOf(':')));
  const canonical = [
    request.method,
    path,
    '',
    ...canonicalHeaders,
    '',
    names.join(';'),
    hash('sha256', request.body, 'hex'),
  ].join('\n');
  const scope = '20261122/eu-west-1/kms/aws4_request';
  const text = ['AWS4-HMAC-SHA256', '20261122T120000Z', scope, hash('sha256', canonical, 'hex')].join('\n');
  let key: Buffer | string = `AWS4${secret}`;
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  const signature = createHmac('sha256', key).update(text).digest('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},SignedHeaders=${names.join(';')},Signature=${signature}`;
  return { ...request, headers: [...request.headers, ['Authorization', authorization]] };
}

describe('a right signature', () => {
  it('is accepted with long-term keys', async () => {
    const { sign, verify, user } = setup();

    const key = verify(await sign());

    expect(key.principalArn).toBe(user.arn);
  });

  it("is accepted for one service after another, each with its own scope's key", async () => {
    const { sign, identities } = setup();

    for (const service of ['kms', 'logs', 'kms']) {
      const request = await sign({ service });
      const expected = { service, region: 'eu-west-1', now, findKey: identities.find };

      expect(() => verifySignature(request, expected)).not.toThrow();
    }
  });

  it('is accepted with temporary keys and their token', async () => {
    const { sign, verify, session } = setup();

    const key = verify(await sign({ credentials: session }));

    expect(key.principalArn).toBe('arn:aws:sts::123456789012:assumed-role/Host/test');
  });

  it('is accepted up to five minutes off, either way', async () => {
    const { sign, refusal } = setup();
    const request = await sign();

    expect(refusal(request, new Date('2026-11-22T12:05:00Z'))).toBe('accepted');
    expect(refusal(request, new Date('2026-11-22T11:55:00Z'))).toBe('accepted');
  });

  it('is accepted whatever order the query has', async () => {
    const { sign, refusal } = setup();
    const request = await sign({ query: { b: ['2', '1'], a: 'ä /+*~', 'a-b': '', A: 'x' } });
    const turned = request.target.slice(2).split('&').toReversed().join('&');

    expect(refusal({ ...request, target: `/?${turned}` })).toBe('accepted');
    expect(refusal({ ...request, target: `/?${turned}&c=1` })).toMatch(/^signature-mismatch/u);
  });

  it('is accepted with repeated headers joined and spaces made one', () => {
    const { user, refusal } = setup();
    const request = handSigned(
      user.secretAccessKey,
      user.accessKeyId,
      {
        method: 'POST',
        target: '/',
        headers: [
          ['Host', '127.0.0.1:4566'],
          ['My-Header', '  a   b '],
          ['X-Amz-Date', '20261122T120000Z'],
          ['my-header', 'c'],
        ],
        body: Buffer.from('{}'),
      },
      ['host:127.0.0.1:4566', 'my-header:a b,c', 'x-amz-date:20261122T120000Z'],
    );

    expect(refusal(request)).toBe('accepted');
    const exchanged = request.headers.toReversed();
    expect(refusal({ ...request, headers: exchanged })).toMatch(/^signature-mismatch/u);
  });

  it('is accepted with Date in place of X-Amz-Date', () => {
    const { user, refusal } = setup();
    const date = 'Sun, 22 Nov 2026 12:00:00 GMT';
    const request = handSigned(
      user.secretAccessKey,
      user.accessKeyId,
      {
        method: 'POST',
        target: '/',
        headers: [
          ['Date', date],
          ['Host', 'localhost'],
        ],
        body: Buffer.from('{}'),
      },
      [`date:${date}`, 'host:localhost'],
    );

    expect(refusal(request)).toBe('accepted');
  });
});

describe('a request is refused', () => {
  it('without Authorization', async () => {
    const { sign, refusal } = setup();

    expect(refusal(withHeader(await sign(), 'authorization', () => undefined))).toMatch(
      /^missing-authentication/u,
    );
  });

  it.each([
    ['another algorithm', (value: string) => value.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256')],
    ['another scheme', () => 'Bearer abc'],
    ['no Credential', (value: string) => value.replace(/Credential=[^,]+, /u, '')],
    ['no SignedHeaders', (value: string) => value.replace(/SignedHeaders=[^,]+, /u, '')],
    ['no Signature', (value: string) => value.replace(/, Signature=.*$/u, '')],
    ['a part that is no pair', (value: string) => `${value}, more`],
    ['a part twice', (value: string) => `${value}, Signature=00`],
    ['a scope of four elements', (value: string) => value.replace('/aws4_request', '')],
    ['a scope of six elements', (value: string) => value.replace('/aws4_request', '/aws4_request/x')],
  ])('as incomplete with %s in Authorization', async (_what, change) => {
    const { sign, refusal } = setup();

    expect(refusal(withHeader(await sign(), 'authorization', change))).toMatch(/^incomplete-signature/u);
  });

  it('as incomplete without a date, or with one that is none', async () => {
    const { sign, refusal } = setup();
    const request = await sign();

    expect(refusal(withHeader(request, 'x-amz-date', () => undefined))).toMatch(
      /^incomplete-signature: .*X-Amz-Date/u,
    );
    expect(refusal(withHeader(request, 'x-amz-date', () => '2026-11-22'))).toMatch(/^incomplete-signature/u);
    expect(refusal(withHeader(request, 'x-amz-date', () => '20269922T120000Z'))).toMatch(
      /^incomplete-signature/u,
    );
  });

  it.each([
    [
      'the signature',
      'authorization',
      (value: string) => value.replace(/.$/u, (last) => (last === '0' ? '1' : '0')),
    ],
    ['the length of the signature', 'authorization', (value: string) => value.slice(0, -1)],
    [
      'the case of the signature',
      'authorization',
      (value: string) => value.replace(/[0-9a-f]{64}$/u, (hex) => hex.toUpperCase()),
    ],
    ['a signed header', 'content-type', (value: string) => `${value}0`],
    ['the host', 'host', (value: string) => value.replace('4566', '4567')],
    ['the target', 'x-amz-target', (value: string) => value.replace('Encrypt', 'Decrypt')],
    ['the second of the date', 'x-amz-date', (value: string) => value.replace('00Z', '01Z')],
    [
      'the stated hash',
      'x-amz-content-sha256',
      (value: string) => value.replace(/.$/u, (last) => (last === '0' ? '1' : '0')),
    ],
    ['the stated hash to UNSIGNED-PAYLOAD', 'x-amz-content-sha256', () => 'UNSIGNED-PAYLOAD'],
  ])('when %s changes', async (_what, name, change) => {
    const { sign, refusal } = setup();
    const headers = { 'x-amz-target': 'TrentService.Encrypt', 'content-type': 'application/x-amz-json-1.1' };
    const request = await sign({ headers });
    expect(refusal(request)).toBe('accepted');

    expect(refusal(withHeader(request, name, change))).toMatch(
      /^signature-mismatch: The request signature we calculated does not match/u,
    );
  });

  it('when one byte of method, path, query or body changes', async () => {
    const { sign, refusal } = setup();
    const request = await sign({ path: '/a%20b', query: { q: '1' } });
    expect(refusal(request)).toBe('accepted');

    expect(refusal({ ...request, method: 'PUT' })).toMatch(/^signature-mismatch/u);
    expect(refusal({ ...request, target: '/a%20c?q=1' })).toMatch(/^signature-mismatch/u);
    expect(refusal({ ...request, target: '/a%20b?q=2' })).toMatch(/^signature-mismatch/u);
    expect(refusal({ ...request, body: Buffer.from('[]') })).toMatch(/^signature-mismatch/u);
  });

  it('when the body changes and no hash is stated', async () => {
    const { sign, user, refusal } = setup();
    const bare = handSigned(
      user.secretAccessKey,
      user.accessKeyId,
      {
        method: 'POST',
        target: '/',
        headers: [
          ['Host', 'h'],
          ['X-Amz-Date', '20261122T120000Z'],
        ],
        body: Buffer.from('{}'),
      },
      ['host:h', 'x-amz-date:20261122T120000Z'],
    );
    expect(refusal(bare)).toBe('accepted');

    expect(refusal({ ...bare, body: Buffer.from('{ }') })).toMatch(/^signature-mismatch/u);
    expect(refusal(await sign())).toBe('accepted');
  });

  it.each([
    ['of another body', hash('sha256', '[]', 'hex')],
    ['that is none', 'UNSIGNED-PAYLOAD'],
  ])('when a hash %s is stated, though the signature is right', (_what, stated) => {
    const { user, refusal } = setup();
    const request = (value: string): RawRequest =>
      handSigned(
        user.secretAccessKey,
        user.accessKeyId,
        {
          method: 'POST',
          target: '/',
          headers: [
            ['Host', 'h'],
            ['X-Amz-Content-Sha256', value],
            ['X-Amz-Date', '20261122T120000Z'],
          ],
          body: Buffer.from('{}'),
        },
        ['host:h', `x-amz-content-sha256:${value}`, 'x-amz-date:20261122T120000Z'],
      );

    expect(refusal(request(hash('sha256', '{}', 'hex')))).toBe('accepted');
    expect(refusal(request(stated))).toMatch(/^signature-mismatch/u);
  });

  it('with a stale date, saying the limits', async () => {
    const { sign, refusal } = setup();

    expect(refusal(await sign(), new Date('2026-11-22T12:05:01Z'))).toBe(
      'signature-mismatch: Signature expired: 20261122T120000Z is now earlier than 20261122T120001Z (20261122T120501Z - 5 min.)',
    );
  });

  it('with a date to come, saying the limits', async () => {
    const { sign, refusal } = setup();

    expect(refusal(await sign(), new Date('2026-11-22T11:54:59Z'))).toBe(
      'signature-mismatch: Signature not yet current: 20261122T120000Z is still later than 20261122T115959Z (20261122T115459Z + 5 min.)',
    );
  });

  it('with a scope of another region, service, date or terminator', async () => {
    const { sign, refusal } = setup();
    const request = await sign();
    const rescoped = (from: string, to: string) =>
      withHeader(request, 'authorization', (value) => value.replace(from, to));

    expect(refusal(await sign({ region: 'us-east-1' }))).toMatch(/scoped to a valid region/u);
    expect(refusal(await sign({ service: 'logs' }))).toMatch(/scoped to correct service: 'kms'/u);
    expect(refusal(rescoped('20261122/', '20261121/'))).toMatch(/Date in Credential scope does not match/u);
    expect(refusal(rescoped('aws4_request', 'aws5_request'))).toMatch(/valid terminator/u);
  });

  it('with an unsigned x-amz header, and with an unsigned host', async () => {
    const { sign, refusal } = setup();
    const request = await sign();
    const added: RawRequest = { ...request, headers: [...request.headers, ['X-Amz-Extra', '1']] };

    expect(refusal(added)).toBe(
      "signature-mismatch: 'x-amz-extra' must be a 'SignedHeader' in the AWS Authorization.",
    );
    expect(refusal(withHeader(request, 'authorization', (value) => value.replace('host;', '')))).toBe(
      "signature-mismatch: 'host' must be a 'SignedHeader' in the AWS Authorization.",
    );
  });

  it('when a header that was signed is not there', async () => {
    const { sign, refusal } = setup();
    const request = await sign({ headers: { 'content-type': 'text/plain' } });

    expect(refusal(withHeader(request, 'content-type', () => undefined))).toMatch(/^signature-mismatch/u);
  });

  it('with an access key nobody has', async () => {
    const { sign, refusal, user, identities } = setup();
    const request = await sign();
    identities.remove(user.accessKeyId);

    expect(refusal(request)).toBe(
      'unknown-access-key: The security token included in the request is invalid.',
    );
  });

  it('with the secret of another key', async () => {
    const { sign, refusal, user, identities } = setup();
    const { secretAccessKey } = identities.createUser('bob');

    const request = await sign({ credentials: { accessKeyId: user.accessKeyId, secretAccessKey } });

    expect(refusal(request)).toMatch(/^signature-mismatch/u);
  });

  it('with temporary keys and no token, or the wrong one', async () => {
    const { sign, refusal, session, identities } = setup();
    const { accessKeyId, secretAccessKey } = session;
    const other = identities.issueSession({ role: 'Host', sessionName: 'other', durationSeconds: 900 });

    const without = await sign({ credentials: { accessKeyId, secretAccessKey } });
    const wrong = await sign({ credentials: { ...session, sessionToken: other.sessionToken } });

    expect(refusal(without)).toMatch(/^unknown-access-key/u);
    expect(refusal(wrong)).toMatch(/^unknown-access-key/u);
  });

  it('with long-term keys and a token', async () => {
    const { sign, refusal, user, session } = setup();

    const request = await sign({ credentials: { ...user, sessionToken: session.sessionToken } });

    expect(refusal(request)).toMatch(/^unknown-access-key/u);
  });

  it('with a token that is over, by time or on command', async () => {
    const { sign, refusal, session, identities } = setup();
    const atTheEnd = new Date(now.getTime() + 900_000);
    const late = await sign({ credentials: session, date: atTheEnd });
    const request = await sign({ credentials: session });

    expect(refusal(late, new Date(atTheEnd.getTime() - 1))).toBe('accepted');
    expect(refusal(late, atTheEnd)).toBe(
      'expired-token: The security token included in the request is expired',
    );
    expect(identities.expire(session.accessKeyId)).toBe(1);
    expect(refusal(request)).toMatch(/^expired-token/u);
  });
});

describe('canonical forms', () => {
  it('a path loses empty and dotted segments and is encoded once more', () => {
    expect(canonicalPath('/')).toBe('/');
    expect(canonicalPath('//a/./b/../c%20d/')).toBe('/a/c%2520d/');
    expect(canonicalPath("/a'b(c)*!~")).toBe('/a%27b%28c%29%2A%21~');
  });

  it('a query is sorted by name and then value, not as text', () => {
    expect(canonicalQuery('a-b=1&a=2&a=1&c')).toBe('a=1&a=2&a-b=1&c=');
    expect(canonicalQuery('a=%7e%2f&b=x%zz')).toBe('a=~%2F&b=x%25zz');
  });

  const anyText = fc.string({ unit: 'grapheme', maxLength: 12 });
  const printable = fc.string({
    unit: fc.constantFrom(' ', '\t', 'a', 'b', ',', ';', '=', ':', '/', 'Z'),
    maxLength: 12,
  });
  const requests = fc.record({
    segments: fc.array(fc.oneof(anyText, fc.constantFrom('', '.', '..')), { maxLength: 4 }),
    slash: fc.boolean(),
    query: fc.dictionary(
      anyText.filter((name) => !['', '__proto__', 'x-amz-signature'].includes(name.toLowerCase())),
      fc.oneof(anyText, fc.array(anyText, { minLength: 1, maxLength: 3 })),
      { maxKeys: 4, noNullPrototype: true },
    ),
    headers: fc.dictionary(
      fc.stringMatching(/^x-[a-z0-9-]{1,8}$/u).filter((name) => !name.startsWith('x-amz')),
      printable,
      { maxKeys: 4, noNullPrototype: true },
    ),
    body: fc.uint8Array({ maxLength: 40 }),
    temporary: fc.boolean(),
  });

  it('agree with those of the SDK for any path, query, headers and body', async () => {
    const { sign, refusal, user, session } = setup();

    await fc.assert(
      fc.asyncProperty(requests, async ({ segments, slash, query, headers, body, temporary }) => {
        const request = await sign({
          credentials: temporary ? session : user,
          path: `/${segments.map(encodeURIComponent).join('/')}${slash ? '/' : ''}`,
          query,
          headers,
          body: Buffer.from(body),
        });

        expect(refusal(request)).toBe('accepted');
      }),
      { numRuns: 300 },
    );
  });
});
