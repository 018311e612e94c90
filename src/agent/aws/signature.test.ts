import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { signedRequest } from '../../../sandbox/signed-request.ts';
import { Secret } from '../../base/secret.ts';
import { bodyHash } from '../../events/body-hash.ts';
import { signature } from './signature.ts';

const host = '127.0.0.1:4566';
const date = new Date('2026-11-26T13:14:15.678Z');
const visible = fc.string({
  unit: fc.constantFrom(...Array.from('aZ0 9~!*()\'"/+=,;:-_.')),
  minLength: 1,
  maxLength: 20,
});

test('a signature is the one that the SDK makes, whatever is signed', async () => {
  const posts = fc.record({
    path: fc.webPath({ size: 'small' }).map((path) => (path === '' ? '/' : path)),
    headers: fc.dictionary(
      fc
        .string({ unit: fc.constantFrom(...Array.from('abcxyz-')), minLength: 1, maxLength: 8 })
        .map((name) => `z-${name}`),
      visible.map((value) => `v${value}`),
      { maxKeys: 3 },
    ),
    body: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    accessKeyId: fc.constantFrom('AKIAFIRST', 'ASIASECOND'),
    secretAccessKey: visible,
    sessionToken: fc.option(
      visible.map((token) => `t${token.trim()}`),
      { nil: undefined },
    ),
    days: fc.nat(3),
  });
  const sign = signature({ region: 'eu-west-1', service: 'logs' });

  await fc.assert(
    fc.asyncProperty(
      posts,
      async ({ path, headers, body, accessKeyId, secretAccessKey, sessionToken, days }) => {
        const at = new Date(date.getTime() + days * 24 * 60 * 60 * 1000);
        const url = new URL(`http://${host}${path}`);
        const credentials = { accessKeyId, secretAccessKey };
        const theirs = await signedRequest({
          credentials: sessionToken === undefined ? credentials : { ...credentials, sessionToken },
          service: 'logs',
          date: at,
          path: url.pathname,
          headers: { ...headers, host },
          body,
        });

        const ours = sign(
          { url, headers, bodyHash: bodyHash(body), date: at },
          {
            accessKeyId,
            secretAccessKey: Secret.ofText(secretAccessKey),
            ...(sessionToken === undefined ? {} : { sessionToken: Secret.ofText(sessionToken) }),
          },
        );

        expect(ours).toEqual(Object.fromEntries(theirs.headers));
      },
    ),
  );
});

test('credentials that are renewed sign from the next call on', () => {
  const sign = signature({ region: 'eu-west-1', service: 'logs' });
  const post = { url: new URL(`http://${host}`), headers: {}, bodyHash: bodyHash(Buffer.from('{}')), date };
  const signedWith = (secret: string) =>
    sign(post, { accessKeyId: 'AKIA', secretAccessKey: Secret.ofText(secret) })['authorization'];

  const [first, second, again] = ['one', 'two', 'one'].map(signedWith);

  expect(second).not.toBe(first);
  expect(again).toBe(first);
});
