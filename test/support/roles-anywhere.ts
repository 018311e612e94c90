import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { type Authority, authority, type CertificateOptions } from './certificates.ts';

export interface RolesAnywhereOptions {
  readonly certificate?: CertificateOptions;
  /** How many authorities stand between the trust anchor and the certificate. */
  readonly intermediates?: number;
  readonly role?: string;
}

/** A role's trust in Roles Anywhere, as the user guide gives it. */
export const rolesAnywhereTrust = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { Service: 'rolesanywhere.amazonaws.com' },
      Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
    },
  ],
});

/** A host's certificate and key in a folder, and a sandbox that trusts their authority and has a profile for them. */
export async function rolesAnywhereHost(
  sandbox: Sandbox,
  folder: string,
  options: RolesAnywhereOptions = {},
) {
  const { intermediates = 0, role: roleName = 'GatehouseHost' } = options;
  const root = await authority();
  const between: Authority[] = [];
  for (let index = 0; index < intermediates; index += 1) {
    const subject = `CN=Test intermediate ${index}`;
    between.push(await (between.at(-1) ?? root).authority({ subject }));
  }
  const issuer = between.at(-1) ?? root;
  const leaf = await issuer.issue(options.certificate);

  const role = sandbox.identities.createRole(roleName, {
    maxSessionSeconds: 43_200,
    trustPolicy: rolesAnywhereTrust,
  });
  const anchor = sandbox.rolesAnywhere.createTrustAnchor({ certificates: root.pem });
  const profile = sandbox.rolesAnywhere.createProfile({ roleArns: [role.arn], durationSeconds: 43_200 });
  const file = (name: string, content: string | Buffer): string => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const chain = between.map(({ pem }) => pem).join('');

  return {
    root,
    issuer,
    /** The authorities between trust anchor and certificate, from above. */
    between,
    leaf,
    role,
    anchor,
    profile,
    /** Puts a file into the folder, over the one that is there. */
    file,
    /** `credentials.rolesAnywhere`. */
    identity: {
      trustAnchorArn: anchor.arn,
      profileArn: profile.arn,
      roleArn: role.arn,
      sessionDurationSeconds: 3600,
      certificate: file('certificate.pem', leaf.pem),
      privateKey: file('private-key.pem', leaf.keyPem),
      ...(chain === '' ? {} : { intermediates: file('intermediates.pem', chain) }),
    },
  };
}
