import { identityError } from '../../identity/errors.ts';
import type { RolesAnywhereIdentity } from '../../identity/roles-anywhere/roles-anywhere.ts';
import { bootstrapOf } from '../host.ts';
import type { Launch } from '../launch.ts';

/** `credentials.rolesAnywhere` of the bootstrap config. @throws CONFIG_…, CREDENTIALS_NOT_CONFIGURED */
export async function configuredIdentity(launch: Launch): Promise<RolesAnywhereIdentity> {
  const { rolesAnywhere } = bootstrapOf(launch).config.credentials;
  if (rolesAnywhere !== undefined) return rolesAnywhere;
  throw identityError('CREDENTIALS_NOT_CONFIGURED', { section: 'credentials.rolesAnywhere' });
}
