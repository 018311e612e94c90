import { keysEvent } from '../../keys/log-events.ts';
import { fingerprintOf, openMasterKey, wrapMasterKey } from '../../keys/master-key.ts';
import type { Launch } from '../launch.ts';
import { generationsLeft } from './generations-left.ts';
import { asOperator, authorise, openProven, type Passwords, wantedBinding } from './operator.ts';
import { publishing } from './publication.ts';
import { sealingGeneration } from './state.ts';

export interface RewrapRequest {
  /** The new binding key; without it, the one that the gateway config names. */
  readonly keyId: string | undefined;
  readonly passwords: Pick<Passwords, 'current'>;
}

export interface Rewrapped {
  readonly bindingKeyArn: string;
  /** Every generation that this host has, retired ones too: else the old binding key could never go. */
  readonly generations: readonly number[];
}

/**
 * Wraps the master key under another binding key, or anew under the same. Sealed files stay as they are.
 * A generation that does not open stays as it is, and the rest goes on.
 * @throws MASTER_KEY_GENERATIONS_LEFT, MASTER_KEY_CHANGING, MASTER_KEY_ABSENT, PASSWORD_…, KEY_…, FILE_…
 */
export function rewrapMasterKey(
  launch: Launch,
  request: RewrapRequest,
  signal: AbortSignal,
): Promise<Rewrapped> {
  return asOperator(launch, { isMade: false }, async (operator) => {
    const { state, keys, agentName, log } = operator;
    const lock = state.lockChanges();
    try {
      await authorise(await openProven(operator, sealingGeneration(state), signal), request.passwords);
      const binding = await wantedBinding(operator, request.keyId, signal);
      const generations: number[] = [];
      const left = generationsLeft();
      await publishing(
        operator,
        async (publication) => {
          for (const generation of state.wrappedGenerations()) {
            const masterKey = await left.unlessRefused(generation, () => keys.open(generation, signal));
            if (masterKey === undefined) continue;
            const wrapped = await wrapMasterKey(masterKey, agentName, binding, signal);
            // The only copy is replaced: not before the new one was opened.
            const again = await openMasterKey(wrapped, { agentName, generation }, binding, signal);
            const isSame = again.key.equals(masterKey.key);
            again.key.dispose();
            if (!isSame) throw new TypeError('a rewrapped key opened as another one');
            const entry = state.ledger.generations().find(({ number }) => number === generation);
            const fingerprint = fingerprintOf(masterKey);
            if (entry !== undefined) await publication.publish({ ...entry, fingerprint }, wrapped, signal);
            await state.writeWrapped(generation, wrapped, { overwrite: true });
            log(keysEvent('master-key.rewrapped', { generation, keyArn: binding.keyArn }));
            generations.push(generation);
          }
        },
        signal,
      );
      left.requireNone(generations);
      return { bindingKeyArn: binding.keyArn, generations };
    } finally {
      lock.release();
    }
  });
}
