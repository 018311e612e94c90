import { type ErrorReport, reportOf } from '../../base/errors.ts';
import { type ExitCode, exitCode } from '../../base/exit-code.ts';
import { keysError } from '../../keys/errors.ts';
import { errorOfState } from '../../keys/kms.ts';
import type { KeyDetails, KmsAdmin } from '../../keys/kms-admin.ts';
import type { Launch } from '../launch.ts';
import { adminOf, asKeyAdmin, wantedKey } from './admin.ts';

const dayMs = 24 * 60 * 60 * 1000;

export interface KeyStatus {
  readonly keyArn: string;
  readonly state: string;
  readonly spec: string;
  readonly origin: string;
  /** ISO 8601; absent where KMS does not rotate it, or may not be asked. */
  readonly nextRotation?: string;
  readonly materialExpiresAt?: string;
  /** Whole days; negative once it has expired. */
  readonly materialExpiresInDays?: number;
  readonly deletedAt?: string;
  readonly customKeyStore?: { readonly id: string; readonly connection: string };
  /** Why it cannot be used now. */
  readonly failing?: ErrorReport;
}

/**
 * What is to be known of a KMS key.
 * @throws KEY_…, MASTER_KEY_BINDING_MISSING where no key is named anywhere
 */
export function keyStatus(
  launch: Launch,
  keyId: string | undefined,
  signal: AbortSignal,
): Promise<{ status: KeyStatus; code: ExitCode }> {
  return asKeyAdmin(launch, async (host) => {
    const wanted = await wantedKey(host, keyId, signal);
    const admin = adminOf(host, wanted);
    const key = await admin.describe(wanted, signal);
    const nextRotation = await maybe(() => admin.nextRotation(key.arn, signal), signal);
    const customKeyStore = await keyStoreOf(key, admin, signal);
    const failure = failureOf(key, customKeyStore?.connection);
    const { materialExpiresAt: expiresAt, deletedAt } = key;
    const now = host.launch.clock.now();
    const status: KeyStatus = {
      keyArn: key.arn,
      state: key.state,
      spec: key.spec,
      origin: key.origin,
      ...(nextRotation === undefined ? {} : { nextRotation: nextRotation.toISOString() }),
      ...(expiresAt === undefined
        ? {}
        : {
            materialExpiresAt: expiresAt.toISOString(),
            materialExpiresInDays: Math.floor((expiresAt.getTime() - now.getTime()) / dayMs),
          }),
      ...(deletedAt === undefined ? {} : { deletedAt: deletedAt.toISOString() }),
      ...(customKeyStore === undefined ? {} : { customKeyStore }),
      ...(failure === undefined ? {} : { failing: reportOf(failure) }),
    };
    return { status, code: failure?.row.exitCode ?? exitCode.done };
  });
}

function failureOf({ arn, state, customKeyStoreId: id }: KeyDetails, connection: string | undefined) {
  if (connection !== undefined && connection !== 'CONNECTED') {
    return keysError('KEY_STORE_UNAVAILABLE', { customKeyStoreId: id, connection });
  }
  return errorOfState(state, { keyArn: arn });
}

async function keyStoreOf({ customKeyStoreId: id }: KeyDetails, admin: KmsAdmin, signal: AbortSignal) {
  if (id === undefined) return undefined;
  return { id, connection: await admin.keyStoreState(id, signal) };
}

/** What is nice to know, and may be denied, or not there for this kind of key. */
async function maybe<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await ask();
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
