import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Authority, authority, type Issued } from '../../../test/support/certificates.ts';
import { GatehouseError } from '../../base/errors.ts';
import { certificateOf, certificatesIn, chainFrom } from './certificate.ts';

let root: Authority;
let middle: Authority;
let leaf: Issued;

beforeAll(async () => {
  root = await authority();
  middle = await root.authority();
  leaf = await middle.issue();
});

const subjectsIn = (content: string | Buffer) =>
  certificatesIn(Buffer.from(content), 'file').map(({ x509 }) => x509.subject);

describe('certificates', () => {
  test('are read from PEM, one or several, whatever text is around them', () => {
    const console = `subject=web-1\n\n${leaf.pem}\nCertificate chain\n${middle.pem}-- end --\n`;

    expect(subjectsIn(leaf.pem)).toEqual(['CN=web-1']);
    expect(subjectsIn(console)).toEqual(['CN=web-1', 'CN=Test intermediate']);
  });

  test('are read with the line ends of Windows', () => {
    expect(subjectsIn(leaf.pem.replaceAll('\n', '\r\n'))).toEqual(['CN=web-1']);
  });

  test('are read from DER', () => {
    expect(subjectsIn(leaf.der)).toEqual(['CN=web-1']);
  });

  test('know an authority by its basic constraints, whatever its key may do', async () => {
    const odd = await root.issue({ isCa: true, usage: ['digitalSignature'] });

    expect(certificateOf(odd.der, 'file').isAuthority).toBe(true);
    expect(certificateOf(middle.der, 'file')).toMatchObject({ isAuthority: true, mayDigitallySign: false });
    expect(certificateOf(leaf.der, 'file')).toMatchObject({ isAuthority: false, mayDigitallySign: true });
  });

  test('lead to the root, in whatever order they come, and without it', () => {
    const [own, others] = [
      certificateOf(leaf.der, ''),
      [root, middle].map(({ der }) => certificateOf(der, '')),
    ];

    expect(chainFrom(own, others).map(({ x509 }) => x509.subject)).toEqual(['CN=Test intermediate']);
    expect(chainFrom(own, [])).toEqual([]);
  });

  test('of anything at all are read, or refused with a typed error', () => {
    const mangled = fc
      .tuple(fc.nat(leaf.der.length - 1), fc.nat(255), fc.nat(leaf.der.length))
      .map(([at, byte, end]) => {
        const copy = Buffer.from(leaf.der);
        copy[at] = byte;
        return copy.subarray(0, Math.max(end, copy.length - 20));
      });
    const wrapped = fc
      .oneof(
        fc.base64String(),
        fc.string(),
        mangled.map((der) => der.toString('base64')),
      )
      .map((inside) => Buffer.from(`-----BEGIN CERTIFICATE-----\n${inside}\n-----END CERTIFICATE-----\n`));
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
      mangled,
      wrapped,
    );

    fc.assert(
      fc.property(anything, (bytes) => {
        const failure = errorOf(() => {
          for (const each of certificatesIn(bytes, 'file')) chainFrom(each, [each]);
        });
        expect([undefined, 'CERTIFICATE_INVALID']).toContain(failure);
      }),
      { numRuns: 500 },
    );
  });
});

/** The code of one of our errors; anything else is thrown on. */
function errorOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof GatehouseError) return error.code;
    throw error;
  }
}
