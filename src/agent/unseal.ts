import type { Log } from '../base/log-events.ts';
import { callerIdentity } from '../identity/caller.ts';
import { usableKeyArn } from '../keys/binding-key.ts';
import type { KmsFor } from '../keys/kms.ts';
import { kmsOpen, type Trust } from '../keys/kms-sealer.ts';
import { parseSealedMessage } from '../keys/sealed-message.ts';
import { sealedBytesMax } from '../keys/sealer.ts';
import { acceptedContext, sealedFileKeys } from '../secrets/sealed-file.ts';
import { readRegularFile } from '../system/files.ts';
import { bootstrapOf, openHost } from './host.ts';
import { kmsOf } from './key-access.ts';
import type { Launch } from './launch.ts';

export interface UnsealRequest {
  readonly file: string;
  /** The only key accepted; without it, every key of the caller's own account and partition. */
  readonly keyId?: string;
}

export interface Unsealed {
  /** The plaintext; the caller overwrites it after use. */
  readonly bytes: Buffer;
  /** The secret's name, as the file was sealed for. */
  readonly name: string;
  /** The key that opened it. */
  readonly keyArn: string;
}

/** What unsealing needs of the host it happens on. */
export interface UnsealingHost {
  readonly kmsFor: KmsFor;
  readonly region: string;
  readonly agentName: string;
  /** Whose keys are the caller's own; asked only without `keyId`. */
  readonly account: (
    signal: AbortSignal,
  ) => Promise<{ readonly accountId: string; readonly partition: string }>;
  readonly log: Log;
}

/**
 * Opens a sealed file, verified whole before anything is returned.
 * @throws FILE_…, SEALED_…, SECRET_SEALED_FOR_OTHER_USE, KEY_…, CONFIG_…, CREDENTIALS_…
 */
export async function unseal(launch: Launch, request: UnsealRequest, signal: AbortSignal): Promise<Unsealed> {
  const bootstrap = bootstrapOf(launch);
  const host = openHost(launch, bootstrap);
  try {
    const { region, recorder, aws } = host;
    const kmsFor = kmsOf(host);
    const account: UnsealingHost['account'] = async (sig) => {
      const { accountId, arn } = await callerIdentity(await aws.sts(), sig);
      return { accountId, partition: arn.split(':')[1] ?? '' };
    };
    const { name: agentName } = bootstrap.config;
    return await unsealFile(request, { kmsFor, region, agentName, account, log: recorder.log }, signal);
  } finally {
    host.aws.close();
  }
}

/** `unseal`, on a host that is already open. */
export async function unsealFile(
  request: UnsealRequest,
  host: UnsealingHost,
  signal: AbortSignal,
): Promise<Unsealed> {
  const { file, keyId } = request;
  const { kmsFor, agentName } = host;
  const sealed = await readRegularFile(file, { bytesMax: sealedBytesMax });
  const { context: claimed } = parseSealedMessage(sealed);
  const name = claimed[sealedFileKeys.name] ?? '';
  const context = acceptedContext(claimed, { name, path: file, agentName });

  const trust: Trust =
    keyId === undefined
      ? await host.account(signal)
      : { keyArns: [await usableKeyArn({ ...host, keyId }, signal)] };
  const { bytes, keyArn } = await kmsOpen(sealed, context, { trust, kmsFor }, signal);
  return { bytes, name, keyArn };
}
