import { crc32 } from 'node:zlib';
import { returnBody } from '../body-memory.ts';
import { bodyCheck, type FoundHead, headAt, headBytes, nextMagic } from './record.ts';
import type { StorageFile } from './storage.ts';

export interface FoundRecord {
  readonly at: number;
  readonly head: FoundHead;
}

/** Bytes, from `from` up to `to`, that are no record. */
export interface Gap {
  readonly from: number;
  readonly to: number;
  /** The disk did not give all of it: there may be records in it, which it may give another time. */
  readonly isUnread: boolean;
}

export interface SegmentScan {
  readonly records: readonly FoundRecord[];
  readonly gaps: readonly Gap[];
}

/** Bodies are leapt over, so this is what one read takes: many small records, or the head of a large one. */
const windowBytes = 64 * 1024;
/** What is leapt over where the disk cannot read. */
const pageBytes = 4096;

/**
 * Every record of a segment up to `end`, and what lies between them. Bodies are not looked at. After bytes that are no
 * record the next one is searched; a record is one of this segment's, and each has a higher sequence than the one before.
 */
export async function scanSegment(file: StorageFile, segment: number, end: number): Promise<SegmentScan> {
  const records: FoundRecord[] = [];
  const gaps: Gap[] = [];
  let window: Buffer = Buffer.alloc(0);
  let windowAt = 0;
  let sequence = 0;
  let gapFrom: number | undefined;
  let isUnread = false;
  /** The disk gave less of the window than it was asked for. */
  let isRefused = false;

  const look = async (at: number, length: number): Promise<void> => {
    windowAt = at;
    ({ bytes: window, isRefused } = await readable(file, at, Math.min(length, end - at)));
  };

  const endGap = (to: number): void => {
    if (gapFrom !== undefined) gaps.push({ from: gapFrom, to, isUnread });
    gapFrom = undefined;
    isUnread = false;
  };

  for (let at = 0; at < end; ) {
    if (at < windowAt || at + headBytes > windowAt + window.length) await look(at, windowBytes);
    let found = headAt(window, at - windowAt);
    if (typeof found === 'number' && at + found <= end) {
      await look(at, Math.max(found, windowBytes));
      found = headAt(window, 0);
    }
    if (typeof found === 'object' && isNext(found, at)) {
      endGap(at);
      records.push({ at, head: found });
      sequence = found.sequence;
      at += found.length;
      continue;
    }
    gapFrom ??= at;
    // Nothing was read here, or not all of a head.
    if (isRefused && (window.length === 0 || typeof found === 'number')) isUnread = true;
    const next = nextMagic(window, at - windowAt + 1);
    // Without one: on at the end of the window, less what of a magic may stand there.
    at = next >= 0 ? windowAt + next : Math.max(at + 1, windowAt + window.length - 3);
    if (window.length === 0) at = Math.min(end, (Math.floor((at - 1) / pageBytes) + 1) * pageBytes);
  }
  endGap(end);
  return { records, gaps };

  function isNext(head: FoundHead, at: number): boolean {
    return head.segment === segment && head.sequence > sequence && at + head.length <= end;
  }
}

/** Empty where the disk gives nothing. */
async function readable(file: StorageFile, at: number, length: number) {
  try {
    return { bytes: await file.read(at, length), isRefused: false };
  } catch {
    // A bad sector in a large window: the next try is for what is left of one page, so that the one before it reads.
    const page = file.read(at, Math.min(length, pageBytes - (at % pageBytes)));
    return { bytes: await page.catch(() => Buffer.alloc(0)), isRefused: true };
  }
}

/** What of the newest segment counts after a crash. */
export interface Tail {
  readonly records: readonly FoundRecord[];
  /** Gaps in what had been on the disk, and those that the disk did not give: damage. */
  readonly gaps: readonly Gap[];
  /** Where what counts ends; behind it lies what a crash interrupted, which nobody was told of. */
  readonly end: number;
}

/**
 * Tells damage from what a crash interrupted. Each record says up to where its segment was on the disk when it was
 * written. Behind the highest such place lies the last group, of which a power loss may leave any part: what follows its
 * first fault was never acknowledged, however whole it looks, and its positions would be ahead of bytes that are gone.
 */
export async function tailOf(file: StorageFile, scan: SegmentScan, size: number): Promise<Tail> {
  const durable = scan.records.reduce((highest, { head }) => Math.max(highest, head.durable), 0);
  let end = size;
  for (const gap of scan.gaps) if (gap.to > durable) end = Math.min(end, Math.max(gap.from, durable));
  for (const record of scan.records) {
    if (record.at < durable || record.at >= end) continue;
    if (!(await isWhole(file, record))) end = record.at;
  }
  return {
    records: scan.records.filter(({ at }) => at < end),
    gaps: scan.gaps
      .filter(({ from, isUnread }) => isUnread || from < Math.min(durable, end))
      .map(({ from, to, isUnread }) => ({ from, to: isUnread ? to : Math.min(to, durable), isUnread })),
    end,
  };
}

async function isWhole(file: StorageFile, { at, head }: FoundRecord): Promise<boolean> {
  try {
    const body = await file.read(at + head.length - head.bodyBytes, head.bodyBytes);
    const isSealed = head.sealed !== undefined;
    // Sealed bodies had a checksum of every byte once.
    const isAsWritten = bodyCheck(body, isSealed) === head.bodyCheck || crc32(body) === head.bodyCheck;
    returnBody(body);
    return body.length === head.bodyBytes && isAsWritten;
  } catch {
    // Nobody knows. It is read again when it is sent, and told of if it cannot be.
    return true;
  }
}
