import { type PrivateKeyFile, readPrivateKey } from '../../identity/roles-anywhere/certified-key.ts';

const hashes = { SHA256: 'sha256', SHA384: 'sha384', SHA512: 'sha512' } as const;

/** A signature made with a private key. @throws PRIVATE_KEY_… */
export async function signed(
  bytes: Buffer,
  key: PrivateKeyFile,
  digest: keyof typeof hashes,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Buffer> {
  const { key: signer } = await readPrivateKey(key, env);
  return signer.sign(bytes, hashes[digest]);
}
