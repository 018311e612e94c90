import type { Log } from '../../base/log-events.ts';
import { sealingKeyArn } from '../../keys/binding-key.ts';
import type { KeyName, Unwrapper } from '../../keys/keyring.ts';
import type { KmsFor } from '../../keys/kms.ts';
import { kmsUnwrapper } from '../../keys/kms-keyring.ts';
import { isUnderMasterKey, masterKeyUnwrapper } from '../../keys/master-keyring.ts';
import { masterKeys } from '../../keys/master-keys.ts';
import type { ByteStream } from '../../keys/message-cipher.ts';
import { openVerified } from '../../keys/message-sealer.ts';
import { type MessageHeader, parseSealedMessage } from '../../keys/sealed-message.ts';
import { acceptedContext, sealedFileKeys } from '../../secrets/sealed-file.ts';
import { openRegularFile } from '../../system/files.ts';
import { kmsOf } from '../aws/kms-of.ts';
import { bootstrapOf, openHost } from '../host.ts';
import type { Launch } from '../launch.ts';
import { namedUnwrapper } from '../master-key/operator.ts';
import { readWrappedKey } from '../master-key/state.ts';
import { ownAccount } from '../own-account.ts';

export interface UnsealRequest {
  /** A sealed file, or the whole of one that cannot be read twice. */
  readonly from: { readonly file: string } | { readonly bytes: Buffer };
  /** The only KMS key accepted; without it, every key of the caller's own account and partition. */
  readonly keyId?: string;
}

export interface Unsealed {
  /** The plaintext; all of it was verified. The caller overwrites each piece after use. */
  readonly pieces: AsyncIterable<Buffer>;
  /** The secret's name, as the file was sealed for. */
  readonly name: string;
  readonly openedBy: KeyName;
}

/** What unsealing needs of the host it happens on. */
export interface UnsealingHost {
  readonly kmsFor: KmsFor;
  readonly region: string;
  readonly agentName: string;
  /** Opens what is under this host's master key. */
  readonly master: Unwrapper;
  /** Whose keys are the caller's own; asked only without `keyId`. */
  readonly account: (
    signal: AbortSignal,
  ) => Promise<{ readonly accountId: string; readonly partition: string }>;
  readonly log: Log;
}

/**
 * Opens a sealed file and gives `take` its plaintext, once all of it was verified. Constant memory for a file.
 * @throws FILE_…, SEALED_…, SECRET_SEALED_FOR_OTHER_USE, KEY_…, MASTER_KEY_…, CONFIG_…, CREDENTIALS_…
 */
export async function unseal(
  launch: Launch,
  request: UnsealRequest,
  take: (unsealed: Unsealed) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const bootstrap = bootstrapOf(launch);
  const host = openHost(launch, bootstrap);
  const { region, recorder } = host;
  const kmsFor = kmsOf(host);
  const { name: agentName, stateDirectory } = bootstrap.config;
  const account: UnsealingHost['account'] = (sig) => ownAccount(host, sig);
  const keys = masterKeys({
    agentName,
    readWrapped: (generation) => readWrappedKey(stateDirectory, generation),
    bindingKey: namedUnwrapper(kmsFor),
  });
  const master = masterKeyUnwrapper(keys.keyOf);
  try {
    const { log } = recorder;
    await unsealFrom(request, { kmsFor, region, agentName, master, account, log }, take, signal);
  } finally {
    keys.close();
    host.aws.close();
  }
}

/** `unseal`, on a host that is already open. */
export async function unsealFrom(
  request: UnsealRequest,
  host: UnsealingHost,
  take: (unsealed: Unsealed) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { from } = request;
  if ('bytes' in from) {
    parseSealedMessage(from.bytes);
    return unsealed('-', () => [from.bytes], request, host, take, signal);
  }
  const file = await openRegularFile(from.file);
  try {
    await unsealed(from.file, () => file.chunks(), request, host, take, signal);
  } finally {
    await file.close();
  }
}

async function unsealed(
  path: string,
  sealed: () => ByteStream,
  request: UnsealRequest,
  host: UnsealingHost,
  take: (unsealed: Unsealed) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { agentName } = host;
  let name = '';
  const opening = await openVerified(
    sealed,
    (claimed) => {
      name = claimed[sealedFileKeys.name] ?? '';
      acceptedContext(claimed, { name, path, agentName });
    },
    unwrapperFor(request, host),
    signal,
  );
  await take({ name, pieces: opening.pieces, openedBy: opening.openedBy() });
}

/** The master key for what it sealed; for the rest the KMS key that was named, or any of the caller's account. */
function unwrapperFor({ keyId }: UnsealRequest, host: UnsealingHost): Unwrapper {
  const { kmsFor, master } = host;
  return {
    async unwrap(header: MessageHeader, signal) {
      if (keyId === undefined && header.wrappedKeys.some(isUnderMasterKey))
        return master.unwrap(header, signal);
      const trust =
        keyId === undefined
          ? await host.account(signal)
          : { keyArns: [await sealingKeyArn({ ...host, keyId }, signal)] };
      return kmsUnwrapper({ trust, kmsFor }).unwrap(header, signal);
    },
  };
}
