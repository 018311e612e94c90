import type { Log } from '../../base/log-events.ts';
import type { Secret } from '../../base/secret.ts';
import { type Binding, kmsBinding } from '../../keys/binding.ts';
import { usableKey } from '../../keys/binding-key.ts';
import { keysError } from '../../keys/errors.ts';
import type { KmsFor } from '../../keys/kms.ts';
import { type KmsUnwrapper, kmsUnwrapper } from '../../keys/kms-keyring.ts';
import { type MasterKey, proofOf } from '../../keys/master-key.ts';
import { type MasterKeys, masterKeys } from '../../keys/master-keys.ts';
import { isPassword } from '../../keys/password.ts';
import { kmsOf } from '../aws/kms-of.ts';
import type { GatewayConfig } from '../config.ts';
import { readGateway } from '../gateway-config/gateway.ts';
import { bootstrapOf, type Host, openHost } from '../host.ts';
import type { Launch } from '../launch.ts';
import { fingerprintOnRecord, type MasterKeyState, openMasterKeyState } from './state.ts';

/** What an operator's command on the master key works with. */
export interface Operator {
  readonly host: Host;
  readonly kmsFor: KmsFor;
  readonly log: Log;
  /** The bootstrap `name`: what the master key is bound to. */
  readonly agentName: string;
  readonly state: MasterKeyState;
  readonly keys: MasterKeys;
}

/** Asks the operator; each is called at most once, and only where the answer is needed. The answer is disposed of. */
export interface Passwords {
  /** @throws PASSWORD_MISSING */
  current(): Promise<Secret>;
  /** @throws PASSWORD_MISSING, PASSWORDS_DIFFER */
  next(): Promise<Secret>;
}

/**
 * Runs `work` with the master key's state of this host, and closes everything after it.
 * @throws MASTER_KEY_HOST_UNNAMED, MASTER_KEY_ABSENT without `isMade`, CONFIG_…, STATE_DIRECTORY_…, LEDGER_…
 */
export async function asOperator<T>(
  launch: Launch,
  { isMade }: { readonly isMade: boolean },
  work: (operator: Operator) => Promise<T>,
): Promise<T> {
  const bootstrap = bootstrapOf(launch);
  const { name: agentName, stateDirectory } = bootstrap.config;
  // A host name may be another one tomorrow, and nothing would open.
  if (bootstrap.origins.get('name') === 'host name') throw keysError('MASTER_KEY_HOST_UNNAMED');
  const host = openHost(launch, bootstrap);
  const state = openMasterKeyState(stateDirectory, { isMade });
  if (state === undefined) throw keysError('MASTER_KEY_ABSENT', { stateDirectory });
  const kmsFor = kmsOf(host);
  const keys = masterKeys({
    agentName,
    readWrapped: (generation) => state.readWrapped(generation),
    bindingKey: namedUnwrapper(kmsFor),
    fingerprintOnRecord: (generation) => fingerprintOnRecord(state, generation),
  });
  try {
    return await work({ host, kmsFor, log: host.recorder.log, agentName, state, keys });
  } finally {
    keys.close();
    state.close();
    host.aws.close();
  }
}

/**
 * Opens with the KMS key that the message itself names: for what lies in the state directory, where nobody but its
 * owner and root can put anything.
 */
export function namedUnwrapper(kmsFor: KmsFor): KmsUnwrapper {
  const trusting = (...keyArns: readonly string[]) => kmsUnwrapper({ trust: { keyArns }, kmsFor });
  return {
    unwrap: (header, signal) => trusting(...header.keyArns).unwrap(header, signal),
    decryptRsa: (keyArn, ciphertext, signal) => trusting(keyArn).decryptRsa(keyArn, ciphertext, signal),
  };
}

/**
 * The binding key that is named, or that the gateway config names, resolved and usable.
 * @throws MASTER_KEY_BINDING_MISSING, KEY_…, and what reading the gateway config throws
 */
export async function wantedBinding(
  { host, kmsFor, log }: Pick<Operator, 'host' | 'kmsFor' | 'log'>,
  keyId: string | undefined,
  signal: AbortSignal,
): Promise<Binding> {
  const wanted = keyId ?? (await configuredKeys(host, signal))?.bindingKey;
  if (wanted === undefined) throw keysError('MASTER_KEY_BINDING_MISSING');
  const { arn, kind } = await usableKey({ keyId: wanted, region: host.region, kmsFor, log }, signal);
  return kmsBinding({ keyArn: arn, kind, kmsFor });
}

/** The `keys` of the gateway config; undefined on a host that has none. */
export async function configuredKeys(
  host: Host,
  signal: AbortSignal,
): Promise<GatewayConfig['keys'] | undefined> {
  const { secretName } = host.bootstrap.config.gatewayConfig;
  if (secretName === undefined) return undefined;
  return (await readGateway(host, secretName, signal)).config.keys;
}

/** Opens a generation and records that it opened. */
export async function openProven(
  { host, keys, state }: Pick<Operator, 'host' | 'keys' | 'state'>,
  generation: number,
  signal: AbortSignal,
): Promise<MasterKey> {
  const masterKey = await keys.open(generation, signal);
  state.ledger.proven(generation, proofOf(masterKey, host.launch.clock.now()));
  return masterKey;
}

/** Lets nobody change a master key with a password who does not know it. @throws PASSWORD_WRONG, PASSWORD_MISSING */
export async function authorise(
  { password }: MasterKey,
  passwords: Pick<Passwords, 'current'>,
): Promise<void> {
  if (password === undefined) return;
  const given = await passwords.current();
  try {
    if (!(await isPassword(given, password))) throw keysError('PASSWORD_WRONG');
  } finally {
    given.dispose();
  }
}
