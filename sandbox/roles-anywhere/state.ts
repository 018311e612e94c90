import { randomUUID } from 'node:crypto';
import { AwsError } from '../service.ts';
import { type Certificate, certificateOf, certificatesInPem } from './certificate.ts';
import { type RevocationList, revocationListOf } from './revocation.ts';

export interface TrustAnchor {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  /** PEM of one authority or, while it is being replaced, of two. */
  readonly certificates: string;
  /** Change it at will, as EnableTrustAnchor and DisableTrustAnchor do. */
  enabled: boolean;
}

export interface Profile {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  /** Change the rest at will, as UpdateProfile does. */
  enabled: boolean;
  roleArns: readonly string[];
  durationSeconds: number;
  acceptRoleSessionName: boolean;
}

export interface Crl {
  readonly id: string;
  readonly name: string;
  readonly trustAnchorArn: string;
  /** Change the rest at will, as UpdateCrl does. */
  data: Buffer;
  enabled: boolean;
}

export interface RolesAnywhereState {
  readonly trustAnchors: readonly TrustAnchor[];
  readonly profiles: readonly Profile[];
  readonly crls: readonly Crl[];
}

/** The trust anchors, profiles and revocation lists of this account, and what their administrator may do. */
export interface RolesAnywhere {
  /** Made enabled. @throws AwsError ValidationException for what is no certificate of an authority */
  createTrustAnchor(request: { name?: string | undefined; certificates: string }): TrustAnchor;
  createProfile(request: ProfileRequest): Profile;
  /** Made enabled. @param crl PEM or DER. @throws AwsError ValidationException */
  importCrl(request: { name?: string; trustAnchorArn: string; crl: Buffer | string }): Crl;
  trustAnchor(arnOrId: string): TrustAnchor | undefined;
  profile(arnOrId: string): Profile | undefined;
  crl(id: string): Crl | undefined;
  crls(): readonly Crl[];
  /** Nobody gets a session by it any more; sessions that live go on. */
  remove(id: string): void;
  authoritiesOf(anchor: TrustAnchor): readonly Certificate[];
  revocationsOf(anchor: TrustAnchor): readonly RevocationList[];
  snapshot(): RolesAnywhereState;
  restore(state: object): void;
}

export interface ProfileRequest {
  readonly name?: string | undefined;
  readonly roleArns: readonly string[];
  readonly durationSeconds?: number | undefined;
  readonly acceptRoleSessionName?: boolean | undefined;
}

/** Quotas of Roles Anywhere. */
const certificatesPerAnchorMax = 2;
const rolesPerProfileMax = 250;
const crlsPerAnchorMax = 2;

export function createRolesAnywhere(accountId: string, region: string): RolesAnywhere {
  const trustAnchors = new Map<string, TrustAnchor>();
  const profiles = new Map<string, Profile>();
  const crls = new Map<string, Crl>();
  const arnOf = (kind: string, id: string): string =>
    `arn:aws:rolesanywhere:${region}:${accountId}:${kind}/${id}`;

  return {
    createTrustAnchor({ name = 'sandbox', certificates }) {
      const read = certificatesInPem(certificates).map(certificateOf);
      if (read.length < 1 || read.length > certificatesPerAnchorMax) {
        throw invalid('A trust anchor takes one or two certificates in PEM');
      }
      for (const certificate of read) checkAuthority(certificate);
      const id = randomUUID();
      const anchor = { id, arn: arnOf('trust-anchor', id), name, certificates, enabled: true };
      trustAnchors.set(id, anchor);
      return anchor;
    },

    createProfile({ name = 'sandbox', roleArns, durationSeconds = 3600, acceptRoleSessionName = false }) {
      if (roleArns.length > rolesPerProfileMax) throw invalid('A profile has 250 roles at most');
      if (durationSeconds < 900 || durationSeconds > 43_200) {
        throw invalid('durationSeconds of a profile is 900 to 43200');
      }
      const id = randomUUID();
      const settings = { enabled: true, roleArns, durationSeconds, acceptRoleSessionName };
      const profile = { id, arn: arnOf('profile', id), name, ...settings };
      profiles.set(id, profile);
      return profile;
    },

    importCrl({ name = 'sandbox', trustAnchorArn, crl }) {
      const anchor = found(trustAnchors, trustAnchorArn);
      if (anchor === undefined) throw new AwsError('ResourceNotFoundException', 'No such trust anchor', 404);
      const data = readableCrl(crl);
      const others = crls.values().filter((each) => each.trustAnchorArn === anchor.arn);
      if ([...others].length >= crlsPerAnchorMax) throw invalid('A trust anchor has two CRLs at most');
      const id = randomUUID();
      const imported = { id, name, trustAnchorArn: anchor.arn, data, enabled: true };
      crls.set(id, imported);
      return imported;
    },

    trustAnchor: (arnOrId) => found(trustAnchors, arnOrId),
    profile: (arnOrId) => found(profiles, arnOrId),
    crl: (id) => crls.get(id),
    crls: () => [...crls.values()],

    remove(id) {
      for (const all of [trustAnchors, profiles, crls]) all.delete(id);
    },

    authoritiesOf: ({ certificates }) =>
      certificatesInPem(certificates).flatMap((der) => certificateOf(der) ?? []),

    revocationsOf: ({ arn }) =>
      [...crls.values()].flatMap(({ trustAnchorArn, enabled, data }) =>
        enabled && trustAnchorArn === arn ? (revocationListOf(data) ?? []) : [],
      ),

    snapshot: () => ({
      trustAnchors: [...trustAnchors.values()],
      profiles: [...profiles.values()],
      crls: [...crls.values()],
    }),

    restore(state) {
      // A snapshot is the sandbox's own text: its services' states are taken as they were written.
      const kept = state as Partial<RolesAnywhereState>;
      for (const anchor of kept.trustAnchors ?? []) trustAnchors.set(anchor.id, anchor);
      for (const profile of kept.profiles ?? []) profiles.set(profile.id, profile);
      for (const crl of kept.crls ?? []) crls.set(crl.id, crl);
    },
  };
}

/** @throws AwsError ValidationException */
export function readableCrl(crl: Buffer | string): Buffer {
  const data = Buffer.from(crl);
  if (revocationListOf(data) === undefined) throw invalid('The CRL cannot be read');
  return data;
}

function found<Found extends { arn: string }>(
  all: ReadonlyMap<string, Found>,
  arnOrId: string,
): Found | undefined {
  return all.get(arnOrId) ?? all.values().find(({ arn }) => arn === arnOrId);
}

/** Source: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html */
function checkAuthority(certificate: Certificate | undefined): void {
  if (certificate === undefined) throw invalid('Incorrect basic constraints for CA certificate');
  if (!certificate.isVersion3 || certificate.isCa !== true) {
    throw invalid('Incorrect basic constraints for CA certificate');
  }
  if (certificate.keyUsage?.keyCertSign !== true) throw invalid('Incorrect key usage for CA certificate');
  if (!certificate.isSignedWithSha2) throw invalid('Incorrect signature algorithm of CA certificate');
}

function invalid(message: string): AwsError {
  return new AwsError('ValidationException', message);
}
