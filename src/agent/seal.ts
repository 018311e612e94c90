import type { Log } from '../base/log-events.ts';
import { secretNamePattern } from '../base/secret-name.ts';
import { usableKeyArn } from '../keys/binding-key.ts';
import type { KmsFor } from '../keys/kms.ts';
import { kmsSealer } from '../keys/kms-sealer.ts';
import { secretsError } from '../secrets/errors.ts';
import { newContext } from '../secrets/sealed-file.ts';
import { writeFileAtomically } from '../system/files.ts';
import { bootstrapOf, openHost } from './host.ts';
import { kmsOf } from './key-access.ts';
import type { Launch } from './launch.ts';

export interface SealRequest {
  /** The secret's name; the file opens under no other. */
  readonly name: string;
  /** The plaintext, for `seal` to keep: it is overwritten once it is sealed or could not be. */
  readonly bytes: Uint8Array;
  /** Where the sealed file goes. */
  readonly file: string;
  /** KMS key: ARN, alias ARN, `alias/NAME` or id. */
  readonly keyId: string;
  /** Whether only a host of this bootstrap `name` opens it. */
  readonly bindToHost: boolean;
  /** Whether a file that exists is replaced. */
  readonly force: boolean;
  /** From 1; 1 where not given. */
  readonly version?: number;
}

export interface NewSealedFile {
  readonly name: string;
  readonly file: string;
  readonly version: number;
  /** The key that opens it. */
  readonly keyArn: string;
}

/** What sealing needs of the host it happens on. */
export interface SealingHost {
  readonly kmsFor: KmsFor;
  readonly region: string;
  /** The explicit bootstrap `name`; undefined where there is none. */
  readonly agentName: string | undefined;
  readonly log: Log;
}

/**
 * Seals a secret into a file of mode 0600, written whole or not at all.
 * @throws SECRET_NAME_INVALID, SECRET_HOST_UNNAMED, FILE_EXISTS, SEALED_TOO_LARGE, KEY_…, FILE_…, CONFIG_…,
 *   CREDENTIALS_…
 */
export async function seal(
  launch: Launch,
  request: SealRequest,
  signal: AbortSignal,
): Promise<NewSealedFile> {
  try {
    const bootstrap = bootstrapOf(launch);
    const host = openHost(launch, bootstrap);
    try {
      const { region, recorder } = host;
      const isNamed = bootstrap.origins.get('name') !== 'host name';
      const agentName = isNamed ? bootstrap.config.name : undefined;
      const kmsFor = kmsOf(host);
      return await sealFile(request, { kmsFor, region, agentName, log: recorder.log }, signal);
    } finally {
      host.aws.close();
    }
  } finally {
    request.bytes.fill(0);
  }
}

/** `seal`, on a host that is already open. Leaves the plaintext as it is. */
export async function sealFile(
  request: SealRequest,
  host: SealingHost,
  signal: AbortSignal,
): Promise<NewSealedFile> {
  const { name, bytes, file, keyId, bindToHost, force, version = 1 } = request;
  if (!secretNamePattern.test(name) || !Number.isSafeInteger(version) || version < 1) {
    throw secretsError('SECRET_NAME_INVALID', { name, version });
  }
  if (bindToHost && host.agentName === undefined) throw secretsError('SECRET_HOST_UNNAMED', { name });

  const { kmsFor, log } = host;
  const keyArn = await usableKeyArn({ ...host, keyId }, signal);
  const context = newContext(name, version, bindToHost ? host.agentName : undefined);
  const sealed = await kmsSealer({ keyArn, openWith: [keyArn], kmsFor, log }).seal(bytes, context, signal);
  await writeFileAtomically(file, sealed, { mode: 0o600, overwrite: force });
  return { name, file, version, keyArn };
}
