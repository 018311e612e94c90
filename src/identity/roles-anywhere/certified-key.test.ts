import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { authority } from '../../../test/support/certificates.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { readCertifiedKey } from './certified-key.ts';

/** A host's certificate below an intermediate one, with its key: the files, and what to put in the certificate's place. */
async function setup() {
  const middle = await (await authority()).authority();
  const leaf = await middle.issue({ serialNumber: '7f0102' });
  const folder = temporaryDirectory();
  const files = {
    certificate: join(folder, 'certificate.der'),
    privateKey: join(folder, 'key.pem'),
    intermediates: join(folder, 'intermediates.pem'),
  };
  writeFileSync(files.privateKey, leaf.keyPem, { mode: 0o600 });
  writeFileSync(files.intermediates, middle.pem);
  const codesOf = async (certificate: Buffer): Promise<readonly string[]> => {
    writeFileSync(files.certificate, certificate);
    const { problems } = await readCertifiedKey(files, {}, new Date());
    return problems.map(({ code }) => code);
  };
  return { leaf, middle, files, codesOf };
}

/** A copy in which the first place of these bytes holds others. */
function replaced(der: Buffer, hex: string, by: string): Buffer {
  const at = der.indexOf(Buffer.from(hex, 'hex'));
  if (at === -1) throw new RangeError(`no ${hex} in the certificate`);
  const copy = Buffer.from(der);
  Buffer.from(by, 'hex').copy(copy, at);
  return copy;
}

test('whatever one byte of a certificate is, what is wrong is said, and nothing else is thrown', async () => {
  const { leaf, codesOf } = await setup();
  const unknown: string[] = [];

  for (const [at, byte] of leaf.der.entries()) {
    for (const other of [byte ^ 0x80, 0x13]) {
      const copy = Buffer.from(leaf.der);
      copy[at] = other;
      await codesOf(copy).catch((error: unknown) => unknown.push(`byte ${at} is ${other}: ${String(error)}`));
    }
  }

  expect(unknown).toEqual([]);
});

test('a certificate whose serial number is negative is none', async () => {
  const { leaf, codesOf } = await setup();

  expect(await codesOf(replaced(leaf.der, '02037f0102', '0203ff0102'))).toEqual(['CERTIFICATE_INVALID']);
});

test('a certificate without a time at which it ends is none, and is not valid for ever', async () => {
  const { leaf, codesOf } = await setup();
  const utcTime = /170d(?:3\d){12}5a/u.exec(leaf.der.toString('hex'))?.[0] ?? '';

  expect(await codesOf(replaced(leaf.der, utcTime, utcTime.replace('170d', '130d')))).toEqual([
    'CERTIFICATE_INVALID',
  ]);
});

test('a key of a kind that is not known is unsupported; among the intermediates it is nobody’s issuer', async () => {
  const { leaf, middle, files, codesOf } = await setup();
  // id-ecPublicKey, and one that nobody has given away.
  const strange = replaced(leaf.der, '06072a8648ce3d0201', '06072a8648ce3d0279');

  expect(await codesOf(strange)).toContain('CERTIFICATE_KEY_UNSUPPORTED');

  const strangeMiddle = replaced(middle.der, '06072a8648ce3d0201', '06072a8648ce3d0279');
  const pem = `-----BEGIN CERTIFICATE-----\n${strangeMiddle.toString('base64')}\n-----END CERTIFICATE-----\n`;
  writeFileSync(files.intermediates, pem + middle.pem);
  expect(await codesOf(leaf.der)).toEqual([]);
});
