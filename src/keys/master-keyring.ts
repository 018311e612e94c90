import { randomBytes } from 'node:crypto';
import { Secret } from '../base/secret.ts';
import { dataKeyLength, unwrapDataKey, wrapDataKey } from './data-key-wrapping.ts';
import { keysError } from './errors.ts';
import type { Keyring, Unwrapper } from './keyring.ts';
import { contextBytes, damaged, ivLength, tagLength, uint, type WrappedKey } from './sealed-message.ts';

/** The namespace of the master key in the messages it wraps; the name in it is the generation. */
export const masterKeyNamespace = 'gatehouse/master-key';

/** The master key of a generation: 32 bytes that stay their holder's, not to be disposed of by who asks. */
export type MasterKeyOf = (generation: number, signal: AbortSignal) => Promise<Secret>;

/** Unwraps data keys that a master key wrapped: the Encryption SDK's raw AES-256-GCM keyring, without any call. */
export function masterKeyUnwrapper(keyOf: MasterKeyOf): Unwrapper {
  return {
    async unwrap({ wrappedKeys, keyArns, context }, signal) {
      const found = wrappedKeys.find(isUnderMasterKey);
      if (found === undefined) throw keysError('KEY_NOT_TRUSTED', { sealedUnder: keyArns });
      const generation = generationOf(found);
      if (generation === undefined) throw damaged('name of the master key');
      const key = await keyOf(generation, signal);
      const { info, wrapped } = found;
      const iv = info.subarray(-ivLength);
      const dataKey = unwrapDataKey(wrapped, { key: key.revealBytes(), iv, aad: contextBytes(context) });
      if (dataKey === undefined) throw keysError('MASTER_KEY_MISMATCH', { generation });
      return { dataKey, openedBy: { generation } };
    },
  };
}

/** A keyring under one generation of the master key. */
export function masterKeyring(generation: number, keyOf: MasterKeyOf): Keyring {
  return {
    ...masterKeyUnwrapper(keyOf),

    async wrap(context, signal) {
      const key = await keyOf(generation, signal);
      const dataKey = randomBytes(dataKeyLength);
      const iv = randomBytes(ivLength);
      const wrapped = wrapDataKey(dataKey, { key: key.revealBytes(), iv, aad: contextBytes(context) });
      const info = Buffer.concat([infoStart(generation), iv]);
      const secret = Secret.ofBytes(dataKey);
      dataKey.fill(0);
      return { dataKey: secret, wrappedKeys: [{ provider: masterKeyNamespace, info, wrapped }] };
    },
  };
}

export function isUnderMasterKey({ provider }: Pick<WrappedKey, 'provider'>): boolean {
  return provider === masterKeyNamespace;
}

/** The generation that wrapped it; undefined where what it says is not what we write, to the bit. */
export function generationOf({ info }: Pick<WrappedKey, 'info'>): number | undefined {
  const name = /^[1-9]\d{0,8}(?=\0)/u.exec(info.toString('latin1'))?.[0];
  if (name === undefined) return undefined;
  const generation = Number(name);
  const start = infoStart(generation);
  return info.length === start.length + ivLength && info.subarray(0, start.length).equals(start)
    ? generation
    : undefined;
}

/**
 * What precedes the nonce in the information about a wrapped key: the key's name, the length of the tag in bits and
 * that of the nonce in bytes.
 * https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/use-raw-aes-keyring.html
 */
function infoStart(generation: number): Buffer {
  return Buffer.concat([Buffer.from(String(generation)), uint(4, tagLength * 8), uint(4, ivLength)]);
}
