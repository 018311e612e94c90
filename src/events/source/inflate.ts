import { readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';

/** How a file is compressed, as its first bytes tell. */
export type Compression = 'gzip' | 'zstd' | 'xz' | 'bzip2';

const magics: readonly (readonly [Compression, Buffer])[] = [
  ['gzip', Buffer.from([0x1f, 0x8b, 0x08])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a])],
  ['bzip2', Buffer.from([0x31, 0x41, 0x59, 0x26, 0x53, 0x59])],
];
const magicBytesMax = 10;
/** Behind `BZh` and a digit. */
const bzip2At = 4;

/** Undefined for what is not compressed. */
export function compressionOf(handle: number): Compression | undefined {
  const bytes = Buffer.alloc(magicBytesMax);
  const head = bytes.subarray(0, readSync(handle, bytes, 0, magicBytesMax, 0));
  return magics.find(([name, magic]) => {
    const at = name === 'bzip2' ? bzip2At : 0;
    return head.subarray(at, at + magic.length).equals(magic);
  })?.[0];
}

/** What Node can read. */
export type Inflatable = 'gzip' | 'zstd';

export function isInflatable(compression: Compression): compression is Inflatable {
  return compression === 'gzip' || compression === 'zstd';
}

/**
 * What a compressed file holds, from its start, piece by piece as it is asked for. The handle stays the caller's.
 * @throws what zlib throws when the file is damaged, or is not whole yet.
 */
export async function* inflate(handle: number, compression: Inflatable): AsyncGenerator<Buffer> {
  const file = Readable.from(pieces(handle));
  const inflater = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  const work = pipeline(file, inflater).catch(() => undefined);
  try {
    yield* inflater as AsyncIterable<Buffer>;
  } finally {
    file.destroy();
    inflater.destroy();
    await work;
  }
}

const readBytes = 64 * 1024;

function* pieces(handle: number): Generator<Buffer> {
  for (let at = 0; ; ) {
    const bytes = Buffer.allocUnsafe(readBytes);
    const got = readSync(handle, bytes, 0, readBytes, at);
    if (got === 0) return;
    at += got;
    yield bytes.subarray(0, got);
  }
}
