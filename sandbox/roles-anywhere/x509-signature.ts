import { verify } from 'node:crypto';
import type { RawRequest } from '../service.ts';
import { type SignatureExpectation, SignatureRefusal, signedParts } from '../signature.ts';
import { type Certificate, certificateOf } from './certificate.ts';

/**
 * Verification of SigV4-X509 from the raw request.
 * Source: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html
 */

/** Whose key signed a request, with the certificates it brought. Nothing is said yet of whether they are trusted. */
export interface Signer {
  readonly leaf: Certificate;
  /** As they were sent: the leaf's issuer first. */
  readonly chain: readonly Certificate[];
}

/** Algorithm → the type of key that makes such signatures. */
const keyTypes: Readonly<Record<string, RegExp>> = {
  'AWS4-X509-RSA-SHA256': /^rsa$/u,
  'AWS4-X509-ECDSA-SHA256': /^ec$/u,
  'AWS4-X509-MLDSA': /^ml-dsa-(?:44|65|87)$/u,
};
const curves: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const modulusBitsMin = 2048;
const modulusBitsMax = 4096;

/** @throws SignatureRefusal */
export function verifyX509Signature(
  request: RawRequest,
  expected: Pick<SignatureExpectation, 'service' | 'region' | 'now'>,
): Signer {
  const { headers, authorization, toSign } = signedParts(request, Object.keys(keyTypes), expected);
  const { algorithm, signer, signature } = authorization;
  const leaf = certificateIn(headers.get('x-amz-x509'), 'X-Amz-X509');
  const sent = headers.get('x-amz-x509-chain');
  const chain =
    sent === undefined ? [] : sent.split(',').map((each) => certificateIn(each, 'X-Amz-X509-Chain'));

  const key = leaf.x509.publicKey;
  const { modulusLength = modulusBitsMin, namedCurve } = key.asymmetricKeyDetails ?? {};
  const type = key.asymmetricKeyType ?? '';
  if (!keyTypes[algorithm]?.test(type) || (type === 'ec' && !curves.has(namedCurve))) throw invalid();
  if (modulusLength < modulusBitsMin || modulusLength > modulusBitsMax) throw invalid();
  if (signer !== BigInt(`0x${leaf.x509.serialNumber}`).toString()) throw invalid();
  if (!/^(?:[0-9a-f]{2})+$/u.test(signature)) throw invalid();
  const hash = algorithm.endsWith('-SHA256') ? 'sha256' : undefined;
  if (!verify(hash, Buffer.from(toSign), key, Buffer.from(signature, 'hex'))) throw invalid();
  return { leaf, chain };
}

function certificateIn(header: string | undefined, name: string): Certificate {
  if (header === undefined) throw new SignatureRefusal('incomplete-signature', `${name} is missing`);
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/u.test(header);
  const certificate = isBase64 ? certificateOf(Buffer.from(header, 'base64')) : undefined;
  if (certificate === undefined)
    throw new SignatureRefusal('signature-mismatch', `${name} is no certificate`);
  return certificate;
}

function invalid(): SignatureRefusal {
  return new SignatureRefusal('signature-mismatch', 'Invalid signature');
}
