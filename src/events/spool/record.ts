import { crc32 } from 'node:zlib';

/** What a record of the spool's files is. The numbers are on disks: they never change their meaning. */
export const recordKind = {
  /** First in each segment: what the records of the segments before add up to. */
  checkpoint: 1,
  /** A batch, with the positions that it moves. */
  batch: 2,
  /** Positions without a batch. */
  notes: 3,
  /** A batch or letter copied out of a segment that was nearly empty; moves no position. */
  moved: 4,
  /** Written at an orderly end: all before it is on the disk. */
  closed: 5,
  /** Segments that are removed on purpose. */
  dropped: 6,
  /** An event of the dead letter. */
  letter: 7,
} as const;

export type RecordKind = (typeof recordKind)[keyof typeof recordKind];

/** Nonce (12 bytes) and tag (16) of AES-256-GCM. */
export const sealBytes = 28;

/** How a body is sealed; absent where it is in clear. */
export interface BodySeal {
  /** 16 hexadecimal digits. */
  readonly keyId: string;
  readonly seal: Uint8Array;
}

export interface RecordHead {
  readonly kind: RecordKind;
  /** The number of the segment that it was written to: a file under another's name is not read. */
  readonly segment: number;
  /** Grows with each record of a log. */
  readonly sequence: number;
  /** Up to here, in bytes from the start of its segment, all was on the disk when the record was written. */
  readonly durable: number;
  readonly sealed: BodySeal | undefined;
  readonly bodyBytes: number;
  /** `bodyCheck` of the body as it is stored. */
  readonly bodyCheck: number;
}

/** A record as it was found. */
export interface FoundHead extends RecordHead {
  /** Whether it is settled. */
  readonly isMarked: boolean;
  /** JSON. */
  readonly meta: Buffer;
  /** All of it: head, meta and body. */
  readonly length: number;
}

/*
 * Little-endian. The checksum covers everything from `kind` to the end of the meta but the mark, which is written later,
 * in place.
 *
 *   0 magic · 4 checksum · 8 kind · 12 meta length · 16 body length · 20 checksum of the body · 24 sequence (double)
 *  32 durable (double) · 40 key id (8) · 48 seal (28) · 76 segment · 80 mark (8) · 88 meta, then body
 */
const magic = Buffer.from('GHR\u0001', 'latin1');
export const headBytes = 88;
const markAt = 80;
const clearKey = '0'.repeat(16);

/** What a settled record has in its mark: no flipped bit makes it of zeros. */
export const settledMark = Buffer.from('settled\n', 'latin1');

/** Where the mark of a record is that begins at `at`. */
export function markOf(at: number): number {
  return at + markAt;
}

/** Sanity: what is larger was not written by us. */
const metaBytesMax = 256 * 2 ** 20;
const bodyBytesMax = 64 * 2 ** 20;

/** Writes head and meta at `at`; the body's place is behind them. Returns where that is. */
export function writeHead(into: Buffer, at: number, head: RecordHead, meta: Buffer): number {
  magic.copy(into, at);
  into.writeUInt32LE(head.kind, at + 8);
  into.writeUInt32LE(meta.length, at + 12);
  into.writeUInt32LE(head.bodyBytes, at + 16);
  into.writeUInt32LE(head.bodyCheck, at + 20);
  into.writeDoubleLE(head.sequence, at + 24);
  into.writeDoubleLE(head.durable, at + 32);
  into.write(head.sealed?.keyId ?? clearKey, at + 40, 'hex');
  into.fill(0, at + 48, at + headBytes);
  if (head.sealed !== undefined) into.set(head.sealed.seal, at + 48);
  into.writeUInt32LE(head.segment, at + 76);
  meta.copy(into, at + headBytes);
  into.writeUInt32LE(checksum(into, at, meta.length), at + 4);
  return at + headBytes + meta.length;
}

function checksum(bytes: Buffer, at: number, metaBytes: number): number {
  const head = crc32(bytes.subarray(at + 8, at + markAt));
  return crc32(bytes.subarray(at + headBytes, at + headBytes + metaBytes), head);
}

/** Closer together than sectors, so that each sector of a disk has one; four bytes each, and the last four. */
const sampleEveryBytes = 256;
const sampleBytes = 4;

/**
 * Tells whether a body, of which a crash may have left any sectors, is all there. Sealed bytes are like random ones, so
 * four of a sector say whether it was written: in 0.01 ms/MB, where a checksum of all took 0.26. What else may become of
 * them their seal tells, once there is the key. A body in clear has a checksum of every byte: nothing else proves it.
 */
export function bodyCheck(body: Buffer, isSealed: boolean): number {
  if (!isSealed || body.length < sampleBytes) return crc32(body);
  let check = body.length;
  const last = body.length - sampleBytes;
  for (let at = 0; at < last; at += sampleEveryBytes) check = withSample(check, body, at);
  return withSample(check, body, last) >>> 0;
}

/** As FNV-1a, four bytes at once, and turned, so that each sample reaches all bits. */
function withSample(check: number, body: Buffer, at: number): number {
  const sample =
    (body[at] ?? 0) | ((body[at + 1] ?? 0) << 8) | ((body[at + 2] ?? 0) << 16) | ((body[at + 3] ?? 0) << 24);
  const mixed = Math.imul(check ^ sample, 0x01000193);
  return (mixed << 13) | (mixed >>> 19);
}

/** A head at `at`; how many bytes from there must be seen to tell; or undefined: there is none. */
export function headAt(bytes: Buffer, at: number): FoundHead | number | undefined {
  const there = bytes.length - at;
  if (there < headBytes) return isMagic(bytes, at) ? headBytes : undefined;
  if (!isMagic(bytes, at)) return undefined;
  const kind = knownKind(bytes.readUInt32LE(at + 8));
  const metaBytes = bytes.readUInt32LE(at + 12);
  const bodyBytes = bytes.readUInt32LE(at + 16);
  if (kind === undefined || metaBytes > metaBytesMax || bodyBytes > bodyBytesMax) return undefined;
  if (there < headBytes + metaBytes) return headBytes + metaBytes;
  if (checksum(bytes, at, metaBytes) !== bytes.readUInt32LE(at + 4)) return undefined;
  const keyId = bytes.toString('hex', at + 40, at + 48);
  return {
    kind,
    segment: bytes.readUInt32LE(at + 76),
    sequence: bytes.readDoubleLE(at + 24),
    durable: bytes.readDoubleLE(at + 32),
    sealed: keyId === clearKey ? undefined : { keyId, seal: Buffer.from(bytes.subarray(at + 48, at + 76)) },
    bodyBytes,
    bodyCheck: bytes.readUInt32LE(at + 20),
    isMarked: bytes.subarray(at + markAt, at + headBytes).equals(settledMark),
    meta: bytes.subarray(at + headBytes, at + headBytes + metaBytes),
    length: headBytes + metaBytes + bodyBytes,
  };
}

/** Whether the magic is at `at`, or as much of it as there are bytes. */
function isMagic(bytes: Buffer, at: number): boolean {
  const there = Math.min(magic.length, bytes.length - at);
  return there > 0 && bytes.compare(magic, 0, there, at, at + there) === 0;
}

const kinds: ReadonlyMap<number, RecordKind> = new Map(Object.values(recordKind).map((kind) => [kind, kind]));

function knownKind(kind: number): RecordKind | undefined {
  return kinds.get(kind);
}

/** Where the next head may be, from `from` on; -1 where there is none. */
export function nextMagic(bytes: Buffer, from: number): number {
  return bytes.indexOf(magic, from);
}

/** What a record is and says. */
export interface RecordContent {
  readonly kind: RecordKind;
  /** The meta. */
  readonly json: string;
  /** A copy, whose original may be there too. */
  readonly isMoved: boolean;
}

export function contentOf({ kind, meta }: FoundHead): RecordContent {
  const json = meta.toString();
  if (kind !== recordKind.moved) return { kind, json, isMoved: false };
  const [original, own]: [RecordKind, string] = JSON.parse(json);
  return { kind: original, json: own, isMoved: true };
}
