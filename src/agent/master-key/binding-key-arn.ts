import { wrappingOf } from '../../keys/master-key.ts';
import type { MasterKeyState } from './state.ts';

/** The ARN of the KMS key that wraps a generation, as its wrapped key says; undefined where there is none. */
export async function bindingKeyArnOf(
  state: Pick<MasterKeyState, 'readWrapped'>,
  generation: number,
): Promise<string | undefined> {
  const wrapped = await state.readWrapped(generation);
  return wrapped === undefined ? undefined : wrappingOf(wrapped).keyArn;
}
