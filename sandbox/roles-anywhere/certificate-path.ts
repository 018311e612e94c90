import { AwsError } from '../service.ts';
import type { Certificate } from './certificate.ts';
import type { RevocationList } from './revocation.ts';

/** Certificates between leaf and trust anchor, as the quota of Roles Anywhere has it. */
export const depthMax = 5;

/** What a chain is held against. */
export interface Trust {
  /** The trust anchor's own certificates. */
  readonly authorities: readonly Certificate[];
  readonly revocations: readonly RevocationList[];
  readonly now: Date;
}

/**
 * Refuses a leaf that may not sign, or whose chain, each certificate issued by the next, reaches no trust anchor.
 * Source: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html. AWS documents the errors' names
 * and few of their texts.
 */
export function checkPath(leaf: Certificate, chain: readonly Certificate[], trust: Trust): void {
  checkLeaf(leaf);
  if (chain.length > depthMax) throw denied('Untrusted Signing Certificate: the chain is longer than 5');
  const path = [leaf, ...chain];
  for (const [depth, certificate] of path.entries()) {
    checkValidity(certificate, trust.now);
    const anchor = trust.authorities.find((authority) => issued(authority, certificate, depth));
    if (anchor !== undefined) {
      checkValidity(anchor, trust.now);
      for (const [below, each] of path.slice(0, depth + 1).entries()) {
        checkRevocation(each, path[below + 1] ?? anchor, [...path, anchor], trust);
      }
      return;
    }
    const next = path[depth + 1];
    if (next === undefined || !issued(next, certificate, depth)) break;
  }
  throw denied('Untrusted Signing Certificate');
}

function checkLeaf(leaf: Certificate): void {
  const problem =
    (!leaf.isVersion3 && 'it is not of version 3') ||
    (leaf.isCa !== false && 'its basic constraints are not CA: false') ||
    (leaf.keyUsage?.digitalSignature !== true && 'its key usage has no digital signature') ||
    (!leaf.isSignedWithSha2 && 'it is not signed with SHA-256 or stronger') ||
    (!leaf.hasSubject && 'its subject is empty');
  if (problem !== false) throw denied(`Insufficient certificate: ${problem}`);
}

/** Whether one certificate issued another that has `below` certificates of authorities beneath it. */
function issued(authority: Certificate, certificate: Certificate, below: number): boolean {
  return (
    authority.isCa === true &&
    authority.keyUsage?.keyCertSign !== false &&
    (authority.pathLength === undefined || authority.pathLength >= below) &&
    certificate.isSignedWithSha2 &&
    certificate.x509.checkIssued(authority.x509) &&
    certificate.x509.verify(authority.x509.publicKey)
  );
}

function checkValidity({ x509 }: Certificate, now: Date): void {
  if (now < x509.validFromDate) throw denied('Untrusted Signing Certificate: not yet valid');
  if (now > x509.validToDate) throw denied('Untrusted Signing Certificate: expired');
}

/** A list counts when this certificate's issuer, or another authority of the path by the same name, made it. */
function checkRevocation(
  { x509 }: Certificate,
  issuer: Certificate,
  path: readonly Certificate[],
  { revocations }: Trust,
): void {
  const serialNumber = BigInt(`0x${x509.serialNumber}`).toString();
  const isRevoked = revocations.some(
    (list) =>
      list.serialNumbers.has(serialNumber) &&
      path.some((each) => each.x509.subject === issuer.x509.subject && list.isIssuedBy(each.x509)),
  );
  if (isRevoked) throw denied('Untrusted Signing Certificate: revoked');
}

function denied(message: string): AwsError {
  return new AwsError('AccessDeniedException', message, 403);
}
