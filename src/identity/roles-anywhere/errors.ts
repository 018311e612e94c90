import type { ErrorTable } from '../../base/errors.ts';
import { exitCode } from '../../base/exit-code.ts';

/** What can be wrong with a certificate, its key, and a session asked for with them; part of the room's table. */
export const rolesAnywhereErrors = {
  CERTIFICATE_UNREADABLE: {
    summary: 'a certificate file cannot be read',
    remedy: 'Name a file that exists and that the agent may read.',
    retry: true,
    exitCode: exitCode.missingInput,
  },
  CERTIFICATE_INVALID: {
    summary: 'the file holds no certificate that can be read',
    remedy:
      'Give the certificate as PEM, DER or PKCS#12; openssl x509 -in FILE -noout -text shows what a file holds.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  CERTIFICATE_NOT_YET_VALID: {
    summary: "the certificate is not valid yet by this host's clock",
    remedy:
      'Compare the clock in the details with a right one; if it is right, wait or get another certificate.',
    retry: true,
    exitCode: exitCode.refused,
  },
  CERTIFICATE_EXPIRED: {
    summary: "the certificate has expired by this host's clock",
    remedy: 'Renew the certificate; if it has not expired, set the clock right, which the details show.',
    retry: true,
    exitCode: exitCode.refused,
  },
  CERTIFICATE_IS_CA: {
    summary: 'the certificate is that of an authority, with which AWS lets nobody sign in',
    remedy: 'Use a certificate that the authority issued to this host, with basicConstraints CA:FALSE.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_CANNOT_SIGN: {
    summary: 'the certificate lacks the key usage digitalSignature, which AWS requires',
    remedy: 'Have the certificate issued again with keyUsage = digitalSignature.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_SIGNED_WEAKLY: {
    summary: 'a certificate is signed with SHA-1 or MD5, which AWS refuses',
    remedy: 'Have the certificate issued again with a signature of SHA-256 or stronger.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_CHAIN_BROKEN: {
    summary: 'none of the intermediate certificates issued this certificate',
    remedy:
      "Put the certificate of this certificate's issuer into the intermediates; the details name it. Where the issuer is the trust anchor itself, leave the intermediates out.",
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_CHAIN_TOO_LONG: {
    summary: 'the chain of intermediate certificates is longer than the five that AWS takes',
    remedy:
      'Register an authority further down as trust anchor, so that fewer stand between it and this host.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_KEY_UNSUPPORTED: {
    summary: 'the key of the certificate is of a kind that AWS does not take',
    remedy: 'Use RSA with 2048 to 4096 bits, or EC on P-256, P-384 or P-521.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_KEY_EXPERIMENTAL: {
    summary: 'the key of the certificate is ML-DSA, which is experimental here',
    remedy:
      'It was tried against the sandbox alone, never against AWS: keep a certificate with an RSA or EC key at hand.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_KEY_MISMATCH: {
    summary: 'the private key is not that of the certificate',
    remedy: 'Name the key that the certificate was issued for; after a renewal, replace both files.',
    retry: true,
    exitCode: exitCode.configuration,
  },
  CERTIFICATE_RENEWAL_FAILED: {
    summary: 'the command that renews the certificate failed',
    remedy: 'Run credentials.rolesAnywhere.renewCommand by hand, as the agent’s user, to see what it says.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  CERTIFICATE_NOT_RENEWED: {
    summary: 'the command that renews the certificate ended well, and the certificate is the same',
    remedy: 'Check that the command writes to credentials.rolesAnywhere.certificate, and renews that early.',
    retry: true,
    exitCode: exitCode.configuration,
  },
  PRIVATE_KEY_UNREADABLE: {
    summary: 'the private key file cannot be read',
    remedy: 'Name a file that exists and that the agent may read.',
    retry: true,
    exitCode: exitCode.missingInput,
  },
  PRIVATE_KEY_EXPOSED: {
    summary: 'the private key file may be read or changed by others',
    remedy:
      'chmod 0600 it, or 0640 with a group of its own; if others could read it for long, get a new key.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PRIVATE_KEY_INVALID: {
    summary: 'the file holds no private key that can be read',
    remedy: 'Give the key as PEM or DER, in PKCS#8, PKCS#1 or SEC1, or in a PKCS#12 file.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  PRIVATE_KEY_PASSWORD_MISSING: {
    summary: 'the private key is encrypted and no password is configured',
    remedy:
      'Set credentials.rolesAnywhere.privateKeyPassword to a file that holds the password, or to the name of a systemd credential; on the command line, give --private-key-password-file.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PRIVATE_KEY_PASSWORD_UNREADABLE: {
    summary: 'the password of the private key cannot be read',
    remedy:
      'Name a file that the agent may read and others may not, or the name of a credential that the unit loads with LoadCredential=.',
    retry: true,
    exitCode: exitCode.missingInput,
  },
  PRIVATE_KEY_PASSWORD_WRONG: {
    summary: 'the private key cannot be opened with the password',
    remedy: 'Check the password in its file: the first line counts, without its line end.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PRIVATE_KEY_ENCRYPTION_UNSUPPORTED: {
    summary: 'the PKCS#12 file is encrypted in a way that is not read any more',
    remedy:
      'Write it anew with AES: openssl pkcs12 -legacy -in OLD -out all.pem, then openssl pkcs12 -export -in all.pem -out NEW.',
    retry: false,
    exitCode: exitCode.damagedInput,
  },
  PKCS11_UNAVAILABLE: {
    summary: 'keys in a PKCS#11 token cannot be reached from this installation',
    remedy:
      'Name the module of the token (pkcs11Module, --pkcs11-lib, or module-path in the URI), and install the npm package pkcs11js 2.1.7 beside Gatehouse.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PKCS11_URI_INVALID: {
    summary: 'the pkcs11: URI is not one that is understood',
    remedy:
      'Use token, serial, manufacturer, model, object, id, type and module-path (RFC 7512); a PIN is never in it: privateKeyPassword names its file.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  PKCS11_NOT_FOUND: {
    summary: 'no token, or no key, or more than one fits the pkcs11: URI',
    remedy:
      'List what there is (pkcs11-tool --list-objects), and name token and object exactly. Most tokens show a private key only with the PIN (privateKeyPassword, --private-key-password-file).',
    retry: true,
    exitCode: exitCode.missingInput,
  },
  PKCS11_PIN_REFUSED: {
    summary: 'the token refuses the PIN',
    remedy: 'Correct the PIN in its file before the next try: a token locks itself after a few wrong ones.',
    retry: false,
    exitCode: exitCode.refused,
  },
  PKCS11_FAILED: {
    summary: 'the PKCS#11 token failed',
    remedy: 'Look at what the cause says, and whether the token is in its slot and its service runs.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  ROLES_ANYWHERE_ARN_INVALID: {
    summary: 'an ARN is not of the kind that belongs there',
    remedy:
      'Use arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID, …:profile/ID and arn:aws:iam::ACCOUNT:role/PATH/NAME.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  ROLES_ANYWHERE_REGIONS_DIFFER: {
    summary: 'trust anchor and profile are in different regions',
    remedy: 'Use a profile of the region in which the trust anchor is.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  ROLES_ANYWHERE_DURATION_INVALID: {
    summary: 'the session duration is not one that AWS takes',
    remedy: 'Ask for 900 to 43200 seconds.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  ROLES_ANYWHERE_SESSION_NAME_INVALID: {
    summary: 'the role session name is not one that AWS takes',
    remedy: 'Use 2 to 64 letters, digits and _ + = , . @ -.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  ROLES_ANYWHERE_UNREACHABLE: {
    summary: 'IAM Roles Anywhere cannot be reached, or is in trouble',
    remedy:
      'Check the network, the proxy settings and the VPC endpoint for rolesanywhere in the region of the trust anchor.',
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 503,
  },
  ROLES_ANYWHERE_ANSWER_INVALID: {
    summary: 'IAM Roles Anywhere answered something that is not a session',
    remedy:
      'Check what listens at the endpoint named in the details; a proxy may have answered in its place.',
    retry: true,
    exitCode: exitCode.damagedInput,
  },
  ROLES_ANYWHERE_SIGNATURE_REFUSED: {
    summary: 'IAM Roles Anywhere does not accept the signature of the request',
    remedy:
      'Check that no proxy changes requests on their way; if none does, report it: it is a defect of Gatehouse.',
    retry: false,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_CLOCK_WRONG: {
    summary: "this host's clock is too far from that of AWS",
    remedy: 'Set the clock right, with NTP or chrony; the details say by how many seconds it is ahead.',
    retry: true,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_CERTIFICATE_REFUSED: {
    summary: 'IAM Roles Anywhere does not trust the certificate',
    remedy:
      'Check that it was issued, through the intermediates given, by an authority of the trust anchor, and that it is not on an imported CRL.',
    retry: false,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_ROLE_REFUSED: {
    summary: 'IAM Roles Anywhere may not assume the role for this host',
    remedy:
      "Check that the profile lists the role, and that the role's trust policy lets rolesanywhere.amazonaws.com call sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity for this certificate.",
    retry: false,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_SESSION_NAME_REFUSED: {
    summary: 'the profile does not let its callers choose a role session name',
    remedy: 'Remove the session name, or set acceptRoleSessionName on the profile.',
    retry: false,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_DISABLED: {
    summary: 'the trust anchor or the profile is disabled',
    remedy: 'Enable it in IAM Roles Anywhere; it may have been disabled to shut this host out.',
    retry: false,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_NOT_FOUND: {
    summary: 'the trust anchor or the profile does not exist',
    remedy: 'Check account, region and id in the ARNs of the trust anchor and the profile.',
    retry: false,
    exitCode: exitCode.refused,
  },
  ROLES_ANYWHERE_REQUEST_INVALID: {
    summary: 'IAM Roles Anywhere does not accept what is asked for',
    remedy: "Check the ARNs, and that the session lasts no longer than the role's own maximum.",
    retry: false,
    exitCode: exitCode.refused,
  },
} as const satisfies ErrorTable;
