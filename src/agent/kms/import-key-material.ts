import { constants, createPublicKey, publicEncrypt } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { GatehouseError } from '../../base/errors.ts';
import { Secret } from '../../base/secret.ts';
import { keysError } from '../../keys/errors.ts';
import { regionOfKeyId } from '../../keys/key-arn.ts';
import {
  isRsaSpec,
  materialFrom,
  newMaterial,
  publicHalfOf,
  wrapMaterial,
  wrappingFor,
} from '../../keys/key-material.ts';
import type { Kms } from '../../keys/kms.ts';
import type { KeyDetails, NewKey, WrappingAlgorithm } from '../../keys/kms-admin.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { openOutputDirectory, readRegularFile, writeFileAtomically } from '../../system/files.ts';
import { kmsOf } from '../aws/kms-of.ts';
import { agentError } from '../errors.ts';
import type { Launch } from '../launch.ts';
import { adminOf, asKeyAdmin, wantedKey } from './admin.ts';

/** Tokens have about 3 kB, wrapping keys half of one. */
const fileBytesMax = 64 * 1024;

/** As the console names them in its archive, and as it named them before; and ours. */
const wrappingKeyName = /^(?:WrappingPublicKey\.bin|wrappingKey_.+)$/u;
const tokenName = /^(?:ImportToken\.bin|importToken_.+)$/u;

/** Where key material comes from: a file as `openssl` writes it, or here, where it is made and forgotten. */
export type MaterialPlace = { readonly file: string } | 'made here';

export interface ImportRequest {
  readonly keyId: string | undefined;
  /** The material, or what a machine without AWS made of it. */
  readonly from:
    | { readonly material: MaterialPlace; readonly wrapping: WrappingAlgorithm | undefined }
    | { readonly encryptedFile: string; readonly tokenFile: string };
  readonly expiresAt: Date | undefined;
}

export interface ImportedMaterial {
  readonly keyArn: string;
  readonly materialExpiresAt?: string;
  /** The file in which the material still lies in clear. */
  readonly clearFile?: string;
  /** Of an RSA key that the caller may not decrypt with. */
  readonly isUntried?: true;
}

/**
 * Imports key material into a KMS key of origin EXTERNAL, and makes sure by a round trip that the key works.
 * @throws KEY_MATERIAL_INVALID, KEY_MATERIAL_OTHER, KEY_WRAPPING_UNSUITABLE, KEY_IMPORT_…, KEY_KIND_UNSUITABLE, KEY_…, FILE_…
 */
export function importKeyMaterial(
  launch: Launch,
  request: ImportRequest,
  signal: AbortSignal,
): Promise<ImportedMaterial> {
  const { from, expiresAt } = request;
  return asKeyAdmin(launch, async (host) => {
    const wanted = await wantedKey(host, request.keyId, signal);
    const admin = adminOf(host, wanted);
    const key = importable(await admin.describe(wanted, signal));
    const { keyArn } = key;
    const kms = kmsOf(host)(regionOfKeyId(keyArn) ?? host.region);
    let publicHalf: Buffer | undefined;
    if ('encryptedFile' in from) {
      const encrypted = await readRegularFile(from.encryptedFile, { bytesMax: fileBytesMax });
      const token = await readRegularFile(from.tokenFile, { bytesMax: fileBytesMax });
      await admin.importMaterial(keyArn, { encrypted, token, expiresAt }, signal);
    } else {
      const wrapping = wrappingFor(key.isRsa, from.wrapping);
      const material = await materialFor(key, from.material);
      try {
        // Asked for anew each time: a token is for one day, and they cost nothing.
        const { wrappingKey, token } = await admin.importParameters(keyArn, wrapping, signal);
        const encrypted = wrapMaterial(material, wrappingKey, wrapping);
        await admin.importMaterial(keyArn, { encrypted, token, expiresAt }, signal);
        if (key.isRsa) publicHalf = publicHalfOf(material);
      } finally {
        material.dispose();
      }
    }
    const isTried = key.isRsa
      ? await isRsaTried(kms, keyArn, publicHalf, signal)
      : await isTriedUnderContext(kms, keyArn, signal);
    const materialExpiresAt = expiresAt?.toISOString();
    host.recorder.log(keysEvent('kms-key.material-imported', { keyArn, expiresAt: materialExpiresAt }));
    const clearFile = 'material' in from && from.material !== 'made here' ? from.material.file : undefined;
    return {
      keyArn,
      ...(materialExpiresAt === undefined ? {} : { materialExpiresAt }),
      ...(clearFile === undefined ? {} : { clearFile }),
      ...(isTried ? {} : { isUntried: true as const }),
    };
  });
}

/** A key that takes imported material. */
export interface ImportableKey {
  readonly keyArn: string;
  readonly spec: NewKey['spec'];
  readonly isRsa: boolean;
}

/** @throws KEY_KIND_UNSUITABLE, KEY_ORIGIN_UNSUITABLE */
export function importable({ arn: keyArn, spec, origin }: KeyDetails): ImportableKey {
  if (origin !== 'EXTERNAL') throw keysError('KEY_ORIGIN_UNSUITABLE', { keyArn, origin });
  if (isRsaSpec(spec)) return { keyArn, spec, isRsa: true };
  if (spec === 'SYMMETRIC_DEFAULT') return { keyArn, spec, isRsa: false };
  throw keysError('KEY_KIND_UNSUITABLE', { keyArn, spec });
}

async function materialFor({ keyArn, spec, isRsa }: ImportableKey, place: MaterialPlace): Promise<Secret> {
  if (place === 'made here') return newMaterial(spec);
  const read = await materialIn(place.file);
  if (read.isRsa === isRsa) return read.material;
  read.material.dispose();
  throw keysError('KEY_MATERIAL_INVALID', { file: place.file, keyArn, spec });
}

/**
 * The first of three steps of a key ceremony: what the machine without AWS needs, into a folder, which is made where
 * there is none.
 */
export function downloadImportParameters(
  launch: Launch,
  request: {
    readonly keyId: string | undefined;
    readonly wrapping: WrappingAlgorithm | undefined;
    readonly folder: string;
  },
  signal: AbortSignal,
): Promise<{ readonly keyArn: string; readonly files: readonly string[]; readonly validUntil: string }> {
  return asKeyAdmin(launch, async (host) => {
    const wanted = await wantedKey(host, request.keyId, signal);
    const admin = adminOf(host, wanted);
    const { keyArn, isRsa } = importable(await admin.describe(wanted, signal));
    const wrapping = wrappingFor(isRsa, request.wrapping);
    const { wrappingKey, token, validUntil } = await admin.importParameters(keyArn, wrapping, signal);
    const folder = resolve(request.folder);
    await (await openOutputDirectory(folder, { within: [folder], mode: 0o700 })).close();
    const files = [
      { path: join(request.folder, 'WrappingPublicKey.bin'), bytes: wrappingKey },
      { path: join(request.folder, 'ImportToken.bin'), bytes: token },
    ];
    for (const { path, bytes } of files) await writeFileAtomically(path, bytes, { mode: 0o600 });
    return { keyArn, files: files.map(({ path }) => path), validUntil: validUntil.toISOString() };
  });
}

/** The second step, without any way to AWS: wraps the material with the key in the folder. */
export async function wrapOffline(request: {
  readonly folder: string;
  readonly material: MaterialPlace;
  readonly wrapping: WrappingAlgorithm | undefined;
  readonly out: string;
}): Promise<void> {
  const names = await readdir(request.folder).catch((error: unknown) => {
    throw keysError('KEY_IMPORT_PARAMETERS_MISSING', { folder: request.folder }, error);
  });
  const name = names.find((each) => wrappingKeyName.test(each));
  if (name === undefined || !names.some((each) => tokenName.test(each))) {
    throw keysError('KEY_IMPORT_PARAMETERS_MISSING', { folder: request.folder });
  }
  const wrappingKey = await readRegularFile(join(request.folder, name), { bytesMax: fileBytesMax });
  const { material, isRsa } = await offlineMaterial(request);
  try {
    const encrypted = wrapMaterial(material, wrappingKey, wrappingFor(isRsa, request.wrapping));
    await writeFileAtomically(request.out, encrypted, { mode: 0o600, overwrite: false });
  } finally {
    material.dispose();
  }
}

async function offlineMaterial({ material: place, wrapping }: Parameters<typeof wrapOffline>[0]) {
  if (place !== 'made here') return materialIn(place.file);
  // How many bits the key has that it is for, nothing here says.
  if (wrapping === 'RSA_AES_KEY_WRAP_SHA_256') {
    throw agentError('USAGE', { problem: 'With --wrap-only make an RSA key first: openssl genrsa.' });
  }
  return { material: newMaterial('SYMMETRIC_DEFAULT'), isRsa: false };
}

async function materialIn(file: string): Promise<{ readonly material: Secret; readonly isRsa: boolean }> {
  const bytes = await readRegularFile(file, { bytesMax: fileBytesMax });
  try {
    return materialFrom(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** Encrypts and decrypts: the key is not only there, it works. */
async function isTriedUnderContext(kms: Kms, keyArn: string, signal: AbortSignal): Promise<true> {
  const context = { 'gatehouse:purpose': 'import-check' };
  const { plaintext, wrapped } = await kms.newDataKey(keyArn, context, signal);
  const opened = await kms.openDataKey(keyArn, wrapped, context, signal);
  const isSame = opened.equals(plaintext);
  plaintext.dispose();
  opened.dispose();
  if (!isSame) throw keysError('KEY_CIPHERTEXT_REFUSED', { keyId: keyArn });
  return true;
}

/**
 * The same of an RSA key, as far as the caller may: RSA knows no context, so whoever may decrypt for a try may decrypt
 * everything, and who looks after the key may not. Where its public half may be seen, it is that of the material.
 */
async function isRsaTried(
  kms: Kms,
  keyArn: string,
  publicHalf: Buffer | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const sent = Secret.ofText('import-check');
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  try {
    const publicKey = await kms.publicKey(keyArn, signal);
    if (publicHalf?.equals(publicKey) === false) {
      throw keysError('KEY_CIPHERTEXT_REFUSED', { keyId: keyArn });
    }
    const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
    const ciphertext = publicEncrypt({ key, ...padding }, sent.revealBytes());
    const opened = await kms.decryptRsa(keyArn, ciphertext, signal);
    if (!opened.equals(sent)) throw keysError('KEY_CIPHERTEXT_REFUSED', { keyId: keyArn });
    return true;
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'KEY_DENIED') return false;
    throw error;
  }
}
