/**
 * The little of DER that Node leaves to us: its `X509Certificate.keyUsage` is the extended one. No library: this is on
 * the path of every cold `credential-process`, and one takes 40 ms to load.
 */

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

export const tags = { boolean: 0x01, bitString: 0x03, octetString: 0x04, sequence: 0x30 } as const;

/** The elements that `content` is made of, or undefined where it is no DER. */
export function elementsOf(content: Buffer): Element[] | undefined {
  const elements: Element[] = [];
  let offset = 0;
  while (offset < content.length) {
    const tag = content[offset] ?? 0;
    // Tag numbers above 30 and lengths above 4 bytes are in nothing that we read.
    if ((tag & 0x1f) === 0x1f) return undefined;
    const first = content[offset + 1] ?? 0x80;
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || lengthBytes > 4 || offset + 2 + lengthBytes > content.length) return undefined;
    const length = lengthBytes === 0 ? first : content.readUIntBE(offset + 2, lengthBytes);
    const start = offset + 2 + lengthBytes;
    if (start + length > content.length) return undefined;
    elements.push({ tag, content: content.subarray(start, start + length) });
    offset = start + length;
  }
  return elements;
}

/** What the one SEQUENCE that `der` is holds; undefined where it is none, or where something follows it. */
export function sequenceOf(der: Buffer): Element[] | undefined {
  const [outer, ...more] = elementsOf(der) ?? [];
  return outer?.tag === tags.sequence && more.length === 0 ? elementsOf(outer.content) : undefined;
}

const extensionsTag = 0xa3;

/** Identifiers, DER: RFC 5280, 4.2.1.3 and 4.2.1.9. */
const keyUsageId = '551d0f';
const basicConstraintsId = '551d13';

/** The bits of a certificate's keyUsage, the first in the highest bit; undefined where it has none. */
export function keyUsageOf(certificate: Buffer): number | undefined {
  const bits = extensionOf(certificate, keyUsageId);
  // The first byte of a bit string counts the unused bits of the last.
  return bits && (bits.tag === tags.bitString ? (bits.content[1] ?? 0) : 0);
}

/**
 * Whether a certificate's basicConstraints make it an authority. Node's `X509Certificate.ca` says no when its keyUsage
 * does not go with that.
 */
export function isAuthority(certificate: Buffer): boolean {
  const constraints = extensionOf(certificate, basicConstraintsId);
  const [flag] = (constraints && elementsOf(constraints.content)) ?? [];
  return flag?.tag === tags.boolean && flag.content[0] !== 0;
}

/** The value of an extension; undefined where the certificate has not got it. */
function extensionOf(certificate: Buffer, idHex: string): Element | undefined {
  const [signed] = sequenceOf(certificate) ?? [];
  const members = signed && elementsOf(signed.content);
  const wrapped = members?.find(({ tag }) => tag === extensionsTag);
  const extensions = wrapped && sequenceOf(wrapped.content);
  for (const extension of extensions ?? []) {
    const [id, ...rest] = elementsOf(extension.content) ?? [];
    if (id?.content.toString('hex') !== idHex) continue;
    const value = rest.find(({ tag }) => tag === tags.octetString);
    return value && elementsOf(value.content)?.[0];
  }
  return undefined;
}
