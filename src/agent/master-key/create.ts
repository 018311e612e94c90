import { GatehouseError, reportOf } from '../../base/errors.ts';
import { retrying } from '../../base/retry.ts';
import { type Binding, kmsBinding } from '../../keys/binding.ts';
import { keysError } from '../../keys/errors.ts';
import { requireUser } from '../../keys/key-policy.ts';
import { keysEvent } from '../../keys/log-events.ts';
import {
  fingerprintOf,
  type MasterKey,
  newMasterKey,
  openMasterKey,
  proofOf,
  wrapMasterKey,
} from '../../keys/master-key.ts';
import { newVerifier, type PasswordVerifier, requireStrong } from '../../keys/password.ts';
import type { Host } from '../host.ts';
import { callerOf } from '../kms/admin.ts';
import { type CreateKeyRequest, createKeyAt, newKeyRetry } from '../kms/create-key.ts';
import type { Launch } from '../launch.ts';
import { asOperator, configuredKeys, type Operator, type Passwords, wantedBinding } from './operator.ts';
import { publishing, registryAt } from './publication.ts';

export interface CreateRequest {
  /** The binding key; without it, the one that the gateway config names. */
  readonly keyId: string | undefined;
  /** An RSA key is made to be the binding key, for this host alone. */
  readonly newKey?: NewRsaKey | undefined;
  /** The registry to bind it to; without it, the one that the gateway config names, if any. */
  readonly table: string | undefined;
  /** Present where a password is to authorise changes. */
  readonly passwords: Pick<Passwords, 'next'> | undefined;
}

export interface NewRsaKey {
  readonly bits: 2048 | 3072 | 4096;
  /** `alias/NAME`. */
  readonly alias: string | undefined;
  /** ARNs of who looks after it, and of who uses it; the account where there are none. */
  readonly admins: readonly string[];
  readonly users: readonly string[];
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
 * Makes the master key of this host, and where that is wanted the RSA key that wraps it.
 * @throws MASTER_KEY_EXISTS, MASTER_KEY_HOST_UNNAMED, KEY_MADE_…, MASTER_KEY_BINDING_MISSING, PASSWORD_…, KEY_…, STATE_DIRECTORY_…
 */
export function createMasterKey(
  launch: Launch,
  request: CreateRequest,
  signal: AbortSignal,
): Promise<CreatedMasterKey> {
  return asOperator(launch, { isMade: true }, async (operator) => {
    const { state, host } = operator;
    const lock = state.lockChanges();
    try {
      if (state.wrappedGenerations().length > 0) {
        throw keysError('MASTER_KEY_EXISTS', { folder: state.folder });
      }
      const { table, absentConfig } = await wantedTable(host, request, signal);
      if (table !== undefined) await registryAt(table, host).check(signal);
      const wanted = { ...operator, table };
      // A key that is there is looked at before a password is asked for. A new one is made after all else, for it costs
      // money until it is deleted.
      const binding = request.newKey ?? (await wantedBinding(operator, request.keyId, signal));
      const masterKey = newMasterKey(1, await newPassword(operator, request.passwords));
      try {
        const made =
          'bits' in binding
            ? await keptUnderNewKey(wanted, masterKey, binding, signal)
            : await kept(wanted, masterKey, binding, signal);
        return { ...made, ...(absentConfig === undefined ? {} : { absentConfig }) };
      } finally {
        masterKey.key.dispose();
      }
    } finally {
      lock.release();
    }
  });
}

/** Who makes a master key, and the registry that gets a copy. */
interface Maker extends Operator {
  readonly table: string | undefined;
}

async function keptUnderNewKey(
  maker: Maker,
  masterKey: MasterKey,
  { bits, alias, admins, users }: NewRsaKey,
  signal: AbortSignal,
): Promise<CreatedMasterKey> {
  const { host, agentName, kmsFor } = maker;
  const request: CreateKeyRequest = {
    spec: `RSA_${bits}`,
    description: `Gatehouse binding key of ${agentName}`,
    tags: { 'gatehouse-name': agentName },
    alias,
    admins,
    users,
    isExternal: false,
    isDurabilityAccepted: false,
    viaService: undefined,
    policy: undefined,
    isDryRun: false,
  };
  requireUser(users, await callerOf(host, signal));
  const { keyArn = '' } = await createKeyAt(host, request, signal);
  const binding = kmsBinding({ keyArn, kind: 'rsa', kmsFor });
  try {
    const keep = (sig: AbortSignal) => kept(maker, masterKey, binding, sig);
    return await retrying(keep, newKeyRetry, host.launch.clock, signal);
  } catch (error) {
    throw keysError('KEY_MADE_MASTER_KEY_NOT', { keyArn, code: reportOf(error).code }, error);
  }
}

/** Wraps the key, and keeps it once it was opened again: here, and in the registry. */
async function kept(
  maker: Maker,
  masterKey: MasterKey,
  binding: Binding,
  signal: AbortSignal,
): Promise<CreatedMasterKey> {
  const { state, agentName, log, host, table } = maker;
  const { generation } = masterKey;
  const wrapped = await wrapMasterKey(masterKey, agentName, binding, signal);
  // Before anything is sealed under it: what cannot be opened again must not be used.
  const again = await openMasterKey(wrapped, { agentName, generation }, binding, signal);
  again.key.dispose();
  const fingerprint = fingerprintOf(masterKey);
  const boundBefore = state.ledger.registryTable();
  if (table !== undefined) state.ledger.bindTable(table);
  try {
    // In the registry first: nothing is sealed under a key of which there is no copy.
    await publishing(
      maker,
      (publication) =>
        publication.publish({ number: generation, state: 'current', fingerprint }, wrapped, signal),
      signal,
    );
  } catch (error) {
    // Else a next one would be told to use a table that nobody named any more.
    state.ledger.bindTable(boundBefore);
    throw error;
  }
  await state.writeWrapped(generation, wrapped, { overwrite: false });
  const now = host.launch.clock.now();
  state.ledger.adopt({ number: generation, createdAt: now, proof: proofOf(masterKey, now) });
  const { keyArn: bindingKeyArn } = binding;
  log(keysEvent('master-key.created', { generation, fingerprint, keyArn: bindingKeyArn }));
  return {
    generation,
    fingerprint,
    bindingKeyArn,
    file: state.wrappedPath(generation),
    hasPassword: masterKey.password !== undefined,
    ...(table === undefined ? {} : { table }),
  };
}

/** The registry that is named, or that the gateway config names; a key that is named may be there before that config. */
async function wantedTable(
  host: Host,
  { keyId, newKey, table }: CreateRequest,
  signal: AbortSignal,
): Promise<{ readonly table?: string | undefined; readonly absentConfig?: string | undefined }> {
  if (table !== undefined) return { table };
  try {
    return { table: (await configuredKeys(host, signal))?.registryTable };
  } catch (error) {
    const isAbsent = error instanceof GatehouseError && error.code === 'SECRET_NOT_FOUND';
    const isKeyNamed = keyId !== undefined || newKey !== undefined;
    if (!isKeyNamed || !isAbsent) throw error;
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
