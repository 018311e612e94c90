import { type BindingKey, bindingKey } from '../keys/binding-key.ts';
import { type DataKeys, dataKeys } from '../keys/data-keys.ts';
import { regionOfKeyId } from '../keys/key-arn.ts';
import type { Unwrapper } from '../keys/keyring.ts';
import { kmsUnwrapper, type Trust, tellingRetired } from '../keys/kms-keyring.ts';
import { keysEvent } from '../keys/log-events.ts';
import { proofOf } from '../keys/master-key.ts';
import { isUnderMasterKey, masterKeyUnwrapper } from '../keys/master-keyring.ts';
import { masterKeys } from '../keys/master-keys.ts';
import { type MaterialExpiry, materialExpiry } from '../keys/material-expiry.ts';
import { messageOpener } from '../keys/message-sealer.ts';
import type { Opener } from '../keys/sealer.ts';
import { kmsOf } from './aws/kms-of.ts';
import type { GatewayConfig } from './config.ts';
import type { Host } from './host.ts';
import { type KeptRecords, keptRecords } from './master-key/kept-records.ts';
import { readWrappedKey } from './master-key/state.ts';

/** What opens on this host: whatever was sealed under its master key, the binding key or a retired one. */
export interface KeyAccess extends Opener {
  /** Of what this host keeps for itself; absent where the gateway config names no binding key. */
  readonly dataKeys?: DataKeys;
  /** Of the binding key; absent where there is none. */
  readonly expiry?: MaterialExpiry;
  readonly records: KeptRecords;
  /** Overwrites the master key. */
  close(): void;
}

/** Resolves the keys that the gateway config names. The master key is opened when something sealed under it is. @throws KEY_… */
export async function openKeys(
  host: Host,
  { bindingKey: keyId, trustedKeys, registryTable }: GatewayConfig['keys'],
  signal: AbortSignal,
): Promise<KeyAccess> {
  const kmsFor = kmsOf(host);
  const { region } = host;
  const { log } = host.recorder;
  const binding =
    keyId === undefined ? undefined : await bindingKey({ keyId, trustedKeys, region, kmsFor, log }, signal);
  const openWith = binding?.openWith ?? trustedKeys;
  const trust: Trust = { keyArns: openWith };
  const underKms = tellingRetired(kmsUnwrapper({ trust, kmsFor }), binding?.keyArn, log);

  const { name: agentName, stateDirectory } = host.bootstrap.config;
  const { clock } = host.launch;
  const records = keptRecords({
    stateDirectory,
    log,
    table: registryTable,
    async watermarkIn(table) {
      const [{ watermark }, { dynamodbRegistry }] = await Promise.all([
        import('./master-key/watermark.ts'),
        import('../keys/dynamodb-registry.ts'),
      ]);
      const registry = dynamodbRegistry(table, () => host.aws.dynamodb());
      return watermark({ registry, agentName, clock, log });
    },
  });
  const master = masterKeys({
    agentName,
    readWrapped: (generation) => readWrappedKey(stateDirectory, generation),
    bindingKey: underKms,
    fingerprintOnRecord: (generation) => records.fingerprint(generation),
    opened(masterKey) {
      const proof = proofOf(masterKey, clock.now());
      records.proven(masterKey.generation, proof);
      const { fingerprint } = proof;
      log(keysEvent('master-key.opened', { generation: masterKey.generation, fingerprint }));
    },
  });
  const unwrapper: Unwrapper = {
    unwrap: (header, sig) =>
      (header.wrappedKeys.some(isUnderMasterKey) ? masterKeyUnwrapper(master.keyOf) : underKms).unwrap(
        header,
        sig,
      ),
  };
  const dataKeysOf = (by: BindingKey): DataKeys =>
    dataKeys({
      bindingKey: by,
      masterKeyOf: master.keyOf,
      sealingGeneration: () => records.sealingGeneration(),
      log,
    });
  return {
    ...(binding === undefined ? {} : { dataKeys: dataKeysOf(binding), expiry: expiryOf(binding, host) }),
    ...messageOpener(unwrapper),
    records,
    close() {
      master.close();
      records.close();
    },
  };
}

function expiryOf({ keyArn, materialExpiresAt }: BindingKey, host: Host): MaterialExpiry {
  const kms = kmsOf(host)(regionOfKeyId(keyArn) ?? host.region);
  return materialExpiry({
    keyArn,
    expiresAt: materialExpiresAt,
    ask: async (signal) => (await kms.describeKey(keyArn, signal)).materialExpiresAt,
    clock: host.launch.clock,
    log: host.recorder.log,
  });
}
