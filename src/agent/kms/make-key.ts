import { randomUUID } from 'node:crypto';
import { GatehouseError } from '../../base/errors.ts';
import { keysError } from '../../keys/errors.ts';
import type { KmsAdmin, NewKey } from '../../keys/kms-admin.ts';
import { keysEvent } from '../../keys/log-events.ts';
import type { Host } from '../host.ts';

/** Says of a key which call made it: a key whose making was not answered is found again by it. */
const runTag = 'gatehouse:run';

/** Keys looked at for that tag. */
const keysMax = 10_000;

export interface MadeOnce {
  readonly keyArn: string;
  /** Made as well, by a call whose answer was lost; nothing is under them. */
  readonly spare: readonly string[];
}

/**
 * Makes a KMS key. A call that was not answered is not made again before it was looked whether it made one.
 * @throws KEY_MADE_PERHAPS, KEY_…
 */
export async function makeKey(
  host: Host,
  admin: KmsAdmin,
  key: NewKey,
  signal: AbortSignal,
): Promise<MadeOnce> {
  const run = randomUUID();
  const ofRun = async () => {
    const found: string[] = [];
    for (const keyArn of await admin.list(keysMax, signal)) {
      const tags = await admin.tagsOf(keyArn, signal).catch(() => undefined);
      signal.throwIfAborted();
      if (tags?.[runTag] === run) found.push(keyArn);
    }
    return found;
  };
  const answered = await admin
    .create({ ...key, tags: { ...key.tags, [runTag]: run } }, signal)
    .catch(async (error: unknown) => {
      if (!(error instanceof GatehouseError) || error.code !== 'KEY_UNREACHABLE') throw error;
      const [keyArn] = await ofRun().catch(() => []);
      if (keyArn === undefined) throw keysError('KEY_MADE_PERHAPS', { tag: `${runTag}=${run}` }, error);
      return { keyArn, isRetried: true };
    });
  const { keyArn, isRetried } = answered;
  host.recorder.log(keysEvent('kms-key.created', { keyArn, spec: key.spec }));
  // Whoever may not list keys has the one that was answered for.
  const spare = isRetried ? (await ofRun().catch(() => [])).filter((arn) => arn !== keyArn) : [];
  for (const each of spare) host.recorder.log(keysEvent('kms-key.spare', { keyArn: each }));
  return { keyArn, spare };
}
