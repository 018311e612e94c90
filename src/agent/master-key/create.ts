import { GatehouseError } from '../../base/errors.ts';
import { keysError } from '../../keys/errors.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { fingerprintOf, newMasterKey, openMasterKey, proofOf, wrapMasterKey } from '../../keys/master-key.ts';
import { newVerifier, type PasswordVerifier, requireStrong } from '../../keys/password.ts';
import type { Host } from '../host.ts';
import type { Launch } from '../launch.ts';
import { asOperator, configuredKeys, type Operator, type Passwords, wantedBinding } from './operator.ts';
import { publishing, registryAt } from './published.ts';

export interface CreateRequest {
  /** The binding key; without it, the one that the gateway config names. */
  readonly keyId: string | undefined;
  /** The registry to bind it to; without it, the one that the gateway config names, if any. */
  readonly table: string | undefined;
  /** Present where a password is to authorise changes. */
  readonly passwords: Pick<Passwords, 'next'> | undefined;
}

export interface CreatedMasterKey {
  readonly generation: number;
  readonly fingerprint: string;
  readonly bindingKeyArn: string;
  /** Where it lies, wrapped. */
  readonly file: string;
  readonly hasPassword: boolean;
  /** The registry that has a copy. */
  readonly table?: string;
  /** The secret of the gateway config, where there is none yet that could name a registry. */
  readonly absentConfig?: string;
}

/**
 * Makes the master key of this host.
 * @throws MASTER_KEY_EXISTS, MASTER_KEY_HOST_UNNAMED, MASTER_KEY_BINDING_MISSING, PASSWORD_…, KEY_…, STATE_DIRECTORY_…
 */
export function createMasterKey(
  launch: Launch,
  request: CreateRequest,
  signal: AbortSignal,
): Promise<CreatedMasterKey> {
  return asOperator(launch, { isMade: true }, async (operator) => {
    const { state, agentName, log, host } = operator;
    const lock = state.lockChanges();
    try {
      if (state.wrappedGenerations().length > 0) {
        throw keysError('MASTER_KEY_EXISTS', { folder: state.folder });
      }
      const binding = await wantedBinding(operator, request.keyId, signal);
      const { table, absentConfig } = await wantedTable(host, request, signal);
      const verifier = await newPassword(operator, request.passwords);
      const masterKey = newMasterKey(1, verifier);
      try {
        const { generation } = masterKey;
        const wrapped = await wrapMasterKey(masterKey, agentName, binding, signal);
        // Before anything is sealed under it: what cannot be opened again must not be used.
        const again = await openMasterKey(wrapped, { agentName, generation }, binding, signal);
        again.key.dispose();
        const fingerprint = fingerprintOf(masterKey);
        if (table !== undefined) {
          await registryAt(table, host).check(signal);
          state.ledger.bindTable(table);
        }
        // In the registry first: nothing is sealed under a key of which there is no copy.
        await publishing(
          operator,
          (publication) =>
            publication.publish({ number: generation, state: 'current', fingerprint }, wrapped, signal),
          signal,
        );
        await state.writeWrapped(generation, wrapped, { overwrite: false });
        const now = host.launch.clock.now();
        state.ledger.adopt({ number: generation, createdAt: now, proof: proofOf(masterKey, now) });
        const { keyArn: bindingKeyArn } = binding;
        log(keysEvent('master-key.created', { generation, fingerprint, keyArn: bindingKeyArn }));
        const hasPassword = verifier !== undefined;
        const file = state.wrappedPath(generation);
        return {
          generation,
          fingerprint,
          bindingKeyArn,
          file,
          hasPassword,
          ...(table === undefined ? {} : { table }),
          ...(absentConfig === undefined ? {} : { absentConfig }),
        };
      } finally {
        masterKey.key.dispose();
      }
    } finally {
      lock.release();
    }
  });
}

/** The registry that is named, or that the gateway config names; a key that is named may be there before that config. */
async function wantedTable(
  host: Host,
  { keyId, table }: CreateRequest,
  signal: AbortSignal,
): Promise<{ readonly table?: string | undefined; readonly absentConfig?: string | undefined }> {
  if (table !== undefined) return { table };
  try {
    return { table: (await configuredKeys(host, signal))?.registryTable };
  } catch (error) {
    const isAbsent = error instanceof GatehouseError && error.code === 'SECRET_NOT_FOUND';
    if (keyId === undefined || !isAbsent) throw error;
    return { absentConfig: host.bootstrap.config.gatewayConfig.secretName };
  }
}

/** Asks for a new password, where one is wanted, and makes what verifies it. @throws PASSWORD_WEAK, PASSWORD_MISSING */
export async function newPassword(
  { agentName }: Pick<Operator, 'agentName'>,
  passwords: Pick<Passwords, 'next'> | undefined,
): Promise<PasswordVerifier | undefined> {
  if (passwords === undefined) return undefined;
  const password = await passwords.next();
  try {
    requireStrong(password, [agentName]);
    return await newVerifier(password);
  } finally {
    password.dispose();
  }
}
