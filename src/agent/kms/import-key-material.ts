import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Secret } from '../../base/secret.ts';
import { keysError } from '../../keys/errors.ts';
import { regionOfKeyId } from '../../keys/key-arn.ts';
import { materialLength, wrapMaterial } from '../../keys/key-material.ts';
import type { WrappedMaterial, WrappingAlgorithm } from '../../keys/kms-admin.ts';
import { keysEvent } from '../../keys/log-events.ts';
import { openOutputDirectory, readRegularFile, writeFileAtomically } from '../../system/files.ts';
import { kmsOf } from '../aws/kms-of.ts';
import type { Host } from '../host.ts';
import type { Launch } from '../launch.ts';
import { adminOf, asKeyAdmin, wantedKey } from './admin.ts';

/** Tokens have about 3 kB, wrapping keys half of one. */
const fileBytesMax = 64 * 1024;

/** As the console names them in its archive, and as it named them before; and ours. */
const wrappingKeyName = /^(?:WrappingPublicKey\.bin|wrappingKey_.+)$/u;
const tokenName = /^(?:ImportToken\.bin|importToken_.+)$/u;

/** Where key material comes from: a file as `openssl rand 32` writes it, or here, where it is made and forgotten. */
export type MaterialPlace = { readonly file: string } | 'made here';

export interface ImportRequest {
  readonly keyId: string | undefined;
  /** The material, or what a machine without AWS made of it. */
  readonly from:
    | { readonly material: MaterialPlace; readonly wrapping: WrappingAlgorithm }
    | { readonly encryptedFile: string; readonly tokenFile: string };
  readonly expiresAt: Date | undefined;
}

export interface ImportedMaterial {
  readonly keyArn: string;
  readonly materialExpiresAt?: string;
  /** The file in which the material still lies in clear. */
  readonly clearFile?: string;
}

/**
 * Imports key material into a KMS key of origin EXTERNAL, and makes sure by a round trip that the key works.
 * @throws KEY_MATERIAL_INVALID, KEY_MATERIAL_OTHER, KEY_IMPORT_…, KEY_KIND_UNSUITABLE, KEY_…, FILE_…
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
    const { arn: keyArn, origin, spec } = await admin.describe(wanted, signal);
    // The material of an RSA key is a private key, which is made for and by KMS here.
    if (spec !== 'SYMMETRIC_DEFAULT') throw keysError('KEY_KIND_UNSUITABLE', { keyArn, spec });
    if (origin !== 'EXTERNAL') throw keysError('KEY_ORIGIN_UNSUITABLE', { keyArn, origin });

    const wrapped = await wrappedOf(request, async (material, wrapping): Promise<WrappedMaterial> => {
      // Asked for anew each time: a token is for one day, and they cost nothing.
      const { wrappingKey, token } = await admin.importParameters(keyArn, wrapping, signal);
      return { encrypted: wrapMaterial(material, wrappingKey, wrapping), token };
    });
    await admin.importMaterial(keyArn, { ...wrapped, expiresAt }, signal);
    await roundTrip(host, keyArn, signal);
    const materialExpiresAt = expiresAt?.toISOString();
    host.recorder.log(keysEvent('kms-key.material-imported', { keyArn, expiresAt: materialExpiresAt }));
    const clearFile = 'material' in from && from.material !== 'made here' ? from.material.file : undefined;
    return {
      keyArn,
      ...(materialExpiresAt === undefined ? {} : { materialExpiresAt }),
      ...(clearFile === undefined ? {} : { clearFile }),
    };
  });
}

async function wrappedOf(
  { from }: ImportRequest,
  wrap: (material: Secret, wrapping: WrappingAlgorithm) => Promise<WrappedMaterial>,
): Promise<WrappedMaterial> {
  if ('encryptedFile' in from) {
    return {
      encrypted: await readRegularFile(from.encryptedFile, { bytesMax: fileBytesMax }),
      token: await readRegularFile(from.tokenFile, { bytesMax: fileBytesMax }),
    };
  }
  const material = await materialOf(from.material);
  try {
    return await wrap(material, from.wrapping);
  } finally {
    material.dispose();
  }
}

/**
 * The first of three steps of a key ceremony: what the machine without AWS needs, into a folder, which is made where
 * there is none.
 */
export function downloadImportParameters(
  launch: Launch,
  request: {
    readonly keyId: string | undefined;
    readonly wrapping: WrappingAlgorithm;
    readonly folder: string;
  },
  signal: AbortSignal,
): Promise<{ readonly keyArn: string; readonly files: readonly string[]; readonly validUntil: string }> {
  return asKeyAdmin(launch, async (host) => {
    const wanted = await wantedKey(host, request.keyId, signal);
    const admin = adminOf(host, wanted);
    const { arn: keyArn } = await admin.describe(wanted, signal);
    const { wrappingKey, token, validUntil } = await admin.importParameters(keyArn, request.wrapping, signal);
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
  readonly wrapping: WrappingAlgorithm;
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
  const material = await materialOf(request.material);
  try {
    const encrypted = wrapMaterial(material, wrappingKey, request.wrapping);
    await writeFileAtomically(request.out, encrypted, { mode: 0o600, overwrite: false });
  } finally {
    material.dispose();
  }
}

async function materialOf(place: MaterialPlace): Promise<Secret> {
  const bytes =
    place === 'made here'
      ? randomBytes(materialLength)
      : await readRegularFile(place.file, { bytesMax: fileBytesMax });
  const material = Secret.ofBytes(bytes);
  bytes.fill(0);
  return material;
}

/** Encrypts and decrypts: the key is not only there, it works. */
async function roundTrip(host: Host, keyArn: string, signal: AbortSignal): Promise<void> {
  const context = { 'gatehouse:purpose': 'import-check' };
  const kms = kmsOf(host)(regionOfKeyId(keyArn) ?? host.region);
  const { plaintext, wrapped } = await kms.newDataKey(keyArn, context, signal);
  const opened = await kms.openDataKey(keyArn, wrapped, context, signal);
  const isSame = opened.equals(plaintext);
  plaintext.dispose();
  opened.dispose();
  if (!isSame) throw keysError('KEY_CIPHERTEXT_REFUSED', { keyId: keyArn });
}
