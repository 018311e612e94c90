import { join } from 'node:path';
import { GatehouseError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import type { BindingKey } from '../keys/binding-key.ts';
import { readRegularFile, writeFileAtomically } from '../system/files.ts';
import type { StateDirectory } from '../system/state-directory.ts';

/** A KMS ciphertext of 32 bytes is about 200 long. */
const wrappedBytesMax = 6144;

/**
 * The data key that seals the spool: kept in the state directory wrapped by the binding key, made at the first start,
 * and wrapped anew where a retired key still wraps it.
 * The caller disposes of it.
 * @throws KEY_…, FILE_…
 */
export async function spoolKey(
  state: StateDirectory,
  bindingKey: BindingKey,
  signal: AbortSignal,
): Promise<Secret> {
  const file = join(state.path, 'spool-key');
  const context = { 'gatehouse:purpose': 'spool', 'gatehouse:host': state.hostId };
  const kept = await keptKey(file);
  if (kept !== undefined) {
    const { plaintext, rewrapped } = await bindingKey.openAndRewrap(kept, context, signal);
    if (rewrapped !== undefined) await writeFileAtomically(file, rewrapped, { mode: 0o600 });
    return plaintext;
  }

  const { plaintext, wrapped } = await bindingKey.newDataKey(context, signal);
  await writeFileAtomically(file, wrapped, { mode: 0o600 });
  return plaintext;
}

async function keptKey(file: string): Promise<Buffer | undefined> {
  try {
    return await readRegularFile(file, { bytesMax: wrappedBytesMax });
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'FILE_NOT_FOUND') return undefined;
    throw error;
  }
}
