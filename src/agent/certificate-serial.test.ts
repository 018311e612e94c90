import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { throwawayTls } from '../../sandbox/tls.ts';
import { authority } from '../../test/support/certificates.ts';
import { pkcs12Password, pkcs12Vectors } from '../../test/support/pkcs12-vectors.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { certificateSerial } from './certificate-serial.ts';

const filesOf = (certificate: string) => ({ certificate, privateKey: '/nonexistent' });

async function setup() {
  const { caPem } = await throwawayTls();
  const file = join(temporaryDirectory(), 'certificate.pem');
  writeFileSync(file, caPem);
  return { file, serialNumber: new X509Certificate(caPem).serialNumber.toLowerCase().replace(/^0+/u, '') };
}

test('a session is named after a certificate whatever the case and leading zeros of the number', async () => {
  const { file, serialNumber } = await setup();
  const asked = [serialNumber, `00${serialNumber.toUpperCase()}`, 'web-1', `${serialNumber}0`, undefined];

  const found = await Promise.all(
    asked.map((sessionName) => certificateSerial(filesOf(file), {}, sessionName)),
  );

  expect(found).toEqual(
    [true, true, false, false, false].map((isSessionName) => ({ serialNumber, isSessionName })),
  );
});

test('a certificate whose key is of a kind that is not known has a serial number all the same', async () => {
  const { der } = await (await authority()).issue({ serialNumber: '0a0b' });
  const file = join(temporaryDirectory(), 'certificate.der');
  // id-ecPublicKey, and one that nobody has given away.
  const at = der.indexOf(Buffer.from('06072a8648ce3d0201', 'hex'));
  writeFileSync(file, Buffer.concat([der.subarray(0, at + 8), Buffer.of(0x79), der.subarray(at + 9)]));

  expect(await certificateSerial(filesOf(file), {}, 'a0b')).toEqual({
    serialNumber: 'a0b',
    isSessionName: true,
  });
});

test.each([
  ['ml-dsa-65', { isExperimental: true }],
  ['ec-p256', {}],
] as const)('a certificate with a key %s is experimental, or not', async (key, expected) => {
  const { pem } = await (await authority()).issue({ key, serialNumber: '0a0b' });
  const file = join(temporaryDirectory(), 'certificate.pem');
  writeFileSync(file, pem);

  expect(await certificateSerial(filesOf(file), {}, 'a0b')).toEqual({
    serialNumber: 'a0b',
    isSessionName: true,
    ...expected,
  });
});

test('a certificate in PKCS#12 tells its number, with the password', async () => {
  const folder = temporaryDirectory();
  const [certificate, privateKeyPassword] = [join(folder, 'identity.p12'), join(folder, 'password')];
  writeFileSync(certificate, Buffer.from(pkcs12Vectors.aes256, 'base64'));
  writeFileSync(privateKeyPassword, pkcs12Password, { mode: 0o600 });
  const files = { certificate, privateKey: certificate };

  expect(await certificateSerial({ ...files, privateKeyPassword }, {}, undefined)).toMatchObject({
    serialNumber: expect.stringMatching(/^[0-9a-f]+$/u),
  });
  expect(await certificateSerial(files, {}, undefined)).toBeUndefined();
});

test('a file that is no certificate tells nothing', async () => {
  const file = join(temporaryDirectory(), 'certificate.pem');
  writeFileSync(file, 'no certificate');

  expect(await certificateSerial(filesOf(file), {}, 'c3a5')).toBeUndefined();
});
