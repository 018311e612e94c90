import type { DataKeys } from './data-keys.ts';
import { unwrapUnder } from './derived-wrapping.ts';
import { keysError } from './errors.ts';
import type { KeyName, Keyring, Unwrapper } from './keyring.ts';
import type { MasterKeyOf } from './master-keyring.ts';
import { damaged, kmsProvider, type SealedMessage, type WrappedKey } from './sealed-message.ts';

/** Names, in a message, a data key that `DataKeys` had the master key wrap; what follows is the generation in decimal. */
const derivedProvider = 'gatehouse/derived';

/** Seals what a host keeps for itself as messages that name their key: a KMS key, or a generation of the master key. */
export function keptKeyring(dataKeys: Pick<DataKeys, 'create'>): Pick<Keyring, 'wrap'> {
  return {
    async wrap(context, signal) {
      const { plaintext, wrapped, wrappedBy } = await dataKeys.create(context, signal);
      if (wrappedBy === undefined) throw new TypeError('a data key was made that nobody wrapped');
      return { dataKey: plaintext, wrappedKeys: [{ ...namedKey(wrappedBy), wrapped }] };
    },
  };
}

/** Opens what was sealed so; `kms` decides which KMS keys may. */
export function keptUnwrapper(kms: Unwrapper, masterKeyOf: MasterKeyOf): Unwrapper {
  return {
    async unwrap(header, signal) {
      const found = header.wrappedKeys.find(isDerived);
      if (found === undefined) return kms.unwrap(header, signal);
      const generation = generationIn(found);
      if (generation === undefined) throw damaged('name of the master key');
      const dataKey = unwrapUnder(await masterKeyOf(generation, signal), found.wrapped, header.context);
      if (dataKey === undefined) throw keysError('MASTER_KEY_MISMATCH', { generation });
      return { dataKey, openedBy: { generation } };
    },
  };
}

/** Which key a message says that it is under; undefined where it is none that we write. */
export function keyNamedIn({ wrappedKeys }: Pick<SealedMessage, 'wrappedKeys'>): KeyName | undefined {
  for (const wrappedKey of wrappedKeys) {
    if (wrappedKey.provider === kmsProvider) return { keyArn: wrappedKey.info.toString('utf8') };
    const generation = isDerived(wrappedKey) ? generationIn(wrappedKey) : undefined;
    if (generation !== undefined) return { generation };
  }
  return undefined;
}

function namedKey(name: KeyName): Pick<WrappedKey, 'provider' | 'info'> {
  return 'keyArn' in name
    ? { provider: kmsProvider, info: Buffer.from(name.keyArn) }
    : { provider: derivedProvider, info: Buffer.from(String(name.generation)) };
}

function isDerived({ provider }: WrappedKey): boolean {
  return provider === derivedProvider;
}

function generationIn({ info }: WrappedKey): number | undefined {
  const text = info.toString('latin1');
  return /^[1-9]\d{0,8}$/u.test(text) ? Number(text) : undefined;
}
