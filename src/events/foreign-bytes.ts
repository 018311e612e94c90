import { isUtf8 } from 'node:buffer';

/**
 * Bytes that are not UTF-8, kept so that a reader gets them back: CloudWatch Logs takes text only. Each such byte
 * becomes one character, U+EF00 plus the byte, so U+EF80 to U+EFFF: private use, which nobody assigns. So that this can
 * be turned round for every event without knowing more about it, these characters themselves become three each when
 * they are there already.
 */
const firstForeign = 0xef80;
const lastForeign = 0xefff;
/** How many bytes one byte that is not plain becomes, at most. */
export const foreignGrowth = 3;

/** UTF-8 of U+EF80 to U+EFFF starts with this byte, which text of this world hardly has. */
const foreignLead = 0xee;

/** Whether these bytes are an event's text as they are. */
export function isPlainText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !hasForeignCharacters(bytes);
}

function hasForeignCharacters(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(foreignLead); at >= 0; at = bytes.indexOf(foreignLead, at + 1)) {
    const second = bytes[at + 1] ?? 0;
    if (second === 0xbe || second === 0xbf) return true;
  }
  return false;
}

export interface EscapedText {
  readonly bytes: Buffer;
  /** Lines of which something had to be escaped. */
  readonly lines: number;
}

/** Lines as UTF-8, whatever bytes they are. */
export function escapeForeign(bytes: Buffer): EscapedText {
  const pieces: Buffer[] = [];
  let lines = 0;
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, from);
    const to = newline < 0 ? bytes.length : newline + 1;
    const line = bytes.subarray(from, to);
    const isPlain = isPlainText(line);
    if (!isPlain) lines += 1;
    pieces.push(isPlain ? line : escapedLine(line));
    from = to;
  }
  return { bytes: Buffer.concat(pieces), lines };
}

function escapedLine(line: Buffer): Buffer {
  const escaped = Buffer.allocUnsafe(line.length * foreignGrowth);
  let length = 0;
  let plainFrom = 0;
  const keepPlain = (to: number): void => {
    length += line.copy(escaped, length, plainFrom, to);
  };
  for (let at = 0; at < line.length; ) {
    const plain = plainLength(line, at);
    if (plain > 0) {
      at += plain;
      continue;
    }
    keepPlain(at);
    length += escaped.write(String.fromCharCode(0xef00 + (line[at] ?? 0)), length);
    at += 1;
    plainFrom = at;
  }
  keepPlain(line.length);
  return escaped.subarray(0, length);
}

/** Length of the character at `at`, 0 when there is none or it is one of ours. */
function plainLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  return isPlainText(bytes.subarray(at, at + length)) ? length : 0;
}

/** The bytes that an event's message was made of. */
export function originalBytes(message: string): Buffer {
  const pieces = message.split(/([\uef80-\uefff]+)/u).map((piece) => {
    const code = piece.codePointAt(0) ?? 0;
    const isForeign = code >= firstForeign && code <= lastForeign;
    return isForeign
      ? Buffer.from(Array.from(piece, (each) => each.charCodeAt(0) - 0xef00))
      : Buffer.from(piece);
  });
  return Buffer.concat(pieces);
}
