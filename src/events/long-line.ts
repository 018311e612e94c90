import { foreignGrowth, isPlainText } from './foreign-bytes.ts';
import { messageBytesMax } from './limits.ts';

/** One of the events that a line too long for one was split into. */
export interface LinePart {
  /** Tells the line from others of its stream; the same when the line is read again. */
  readonly line: string;
  /** From 1. */
  readonly number: number;
  readonly isLast: boolean;
}

/** Most characters that `markOf` makes, all of them ASCII. */
const markBytesMax = 64;
/** Text of one part: an event has room for it and its mark. */
export const partBytesMax = messageBytesMax - markBytesMax;

/** What a part's message starts with: a reader who takes it off and puts the parts in a row has the line. */
export function markOf({ line, number, isLast }: LinePart): string {
  return `[gatehouse ${isLast ? 'last ' : ''}part ${number} of line ${line}] `;
}

/** How much of a line goes into its next part: up to the end of a character, and no more than fits when escaped. */
export function partLength(bytes: Buffer): number {
  const end = characterEnd(Math.min(bytes.length, partBytesMax), (at) => bytes[at]);
  if (isPlainText(bytes.subarray(0, end))) return end;
  return characterEnd(Math.min(bytes.length, Math.floor(partBytesMax / foreignGrowth)), (at) => bytes[at]);
}

/**
 * The last place up to `end` that is not inside a UTF-8 character; `byteAt` gives NaN or undefined past the end.
 * Bytes that are not UTF-8 at all are cut at `end`.
 */
export function characterEnd(end: number, byteAt: (index: number) => number | undefined): number {
  for (let at = end; at > end - 4 && at > 0; at -= 1) {
    if (((byteAt(at) ?? 0) & 0xc0) !== 0x80) return at;
  }
  return end;
}
