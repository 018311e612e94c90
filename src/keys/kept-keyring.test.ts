import { describe, expect, it } from 'vitest';
import { memoryKms } from '../../test/support/memory-kms.ts';
import { Secret } from '../base/secret.ts';
import { bindingKey } from './binding-key.ts';
import { dataKeys } from './data-keys.ts';
import { keptKeyring, keptUnwrapper, keyNamedIn } from './kept-keyring.ts';
import { kmsUnwrapper } from './kms-keyring.ts';
import { masterKeyUnwrapper } from './master-keyring.ts';
import { messageSealer, openBytes } from './message-sealer.ts';
import { parseHeader } from './sealed-message.ts';
import { sealerContract } from './sealer.contract.ts';

const never = new AbortController().signal;
const log = (): void => undefined;
const context = { 'gatehouse:purpose': 'last-known-good', 'gatehouse:host': 'h' };

async function setup(kind: 'symmetric' | 'rsa') {
  const kms = memoryKms();
  const keyArn = kind === 'rsa' ? kms.addKey({ rsa: 2048 }) : kms.addKey();
  const master = [Secret.ofText('a'.repeat(32)), Secret.ofText('b'.repeat(32))];
  const masterKeyOf = async (generation: number) => master[generation - 1] ?? Secret.ofText('');
  const data = dataKeys({
    bindingKey: await bindingKey(
      { keyId: keyArn, trustedKeys: [], region: '', kmsFor: () => kms, log },
      never,
    ),
    masterKeyOf,
    sealingGeneration: () => 2,
    log,
  });
  const kmsOnly = kmsUnwrapper({ trust: { keyArns: [keyArn] }, kmsFor: () => kms });
  const unwrapper = keptUnwrapper(kmsOnly, masterKeyOf);
  kms.calls.length = 0;
  return {
    kms,
    keyArn,
    masterKeyOf,
    unwrapper,
    sealer: messageSealer({ ...keptKeyring(data), ...unwrapper }),
  };
}

for (const kind of ['symmetric', 'rsa'] as const) {
  sealerContract(
    `a sealer of what is kept under a binding key that is ${kind}`,
    async () => (await setup(kind)).sealer,
  );
}

describe('what is kept', () => {
  it('under a symmetric key is a message that names the KMS key: one call to seal, one to open', async () => {
    const { kms, keyArn, sealer, unwrapper } = await setup('symmetric');

    const sealed = await sealer.seal(Buffer.from('x'), context, never);

    expect(keyNamedIn(parseHeader(sealed))).toEqual({ keyArn });
    expect(await openBytes(sealed, context, unwrapper, never)).toMatchObject({ openedBy: { keyArn } });
    expect(kms.calls).toEqual([`GenerateDataKey ${keyArn}`, `Decrypt ${keyArn}`]);
  });

  it('under an RSA key is a message that names the generation of the master key, without a call', async () => {
    const { kms, sealer, unwrapper } = await setup('rsa');

    const sealed = await sealer.seal(Buffer.from('x'), context, never);

    expect(keyNamedIn(parseHeader(sealed))).toEqual({ generation: 2 });
    expect(await openBytes(sealed, context, unwrapper, never)).toMatchObject({ openedBy: { generation: 2 } });
    expect(kms.calls).toEqual([]);
  });

  it('does not open as a sealed file does: its key is another', async () => {
    const { masterKeyOf, sealer } = await setup('rsa');
    const sealed = await sealer.seal(Buffer.from('x'), context, never);

    await expect(openBytes(sealed, context, masterKeyUnwrapper(masterKeyOf), never)).rejects.toMatchObject({
      code: 'KEY_NOT_TRUSTED',
    });
  });

  it.each(['', '0', '01', '-1', '1x', '1234567890'])(
    'under a generation that is called "%s" is damaged',
    async (name) => {
      const { sealer, unwrapper } = await setup('rsa');
      const header = parseHeader(await sealer.seal(Buffer.from('x'), context, never));
      const [key] = header.wrappedKeys;
      if (key === undefined) throw new Error('no wrapped key');
      const changed = { ...header, wrappedKeys: [{ ...key, info: Buffer.from(name) }] };

      expect(keyNamedIn(changed)).toBeUndefined();
      await expect(unwrapper.unwrap(changed, never)).rejects.toMatchObject({ code: 'SEALED_DAMAGED' });
    },
  );
});
