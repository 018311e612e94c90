import { isUtf8 } from 'node:buffer';
import { jsonForms } from './json-forms.ts';

/** Why a value is not looked for: it would not be found reliably, or it would ruin the logs. */
export type LeftOut = 'too-short' | 'too-common' | 'too-long';

export interface Needles {
  /** Byte strings that give the value away, each at least `needleBytesMin` long, none twice. Copies: the caller's own. */
  readonly needles: readonly Buffer[];
  /** Set when there are none. */
  readonly leftOut?: LeftOut;
}

/** Shorter ones turn up by chance. */
export const needleBytesMin = 8;
/** What Secrets Manager holds at most. Larger sealed files are no passwords. */
export const valueBytesMax = 65_536;

/**
 * What to look for in logs where `value` must not show: the value itself and its base64 (wherever it begins in a longer
 * text), URL-encoded, JSON-escaped and hex forms. Of a text with several lines each line stands for itself, for logs
 * come by the line. Of a JSON object, as Secrets Manager keeps them, also the members whose name tells a secret.
 */
export function needlesOf(value: Buffer): Needles {
  const bytes = trimmed(value);
  if (bytes.length > valueBytesMax) return { needles: [], leftOut: 'too-long' };
  if (bytes.length < needleBytesMin) return { needles: [], leftOut: 'too-short' };
  const parts = partsOf(bytes).filter((part) => part.length >= needleBytesMin && !isCommon(part));
  if (parts.length === 0) return { needles: [], leftOut: 'too-common' };
  const forms = parts.flatMap(formsOf).filter((form) => form.length >= needleBytesMin);
  return { needles: [...new Map(forms.map((form) => [form.toString('latin1'), form])).values()] };
}

/** Files end with a newline that is no part of the password in them. */
function trimmed(value: Buffer): Buffer {
  let end = value.length;
  while (end > 0 && isLineEnd(value[end - 1])) end -= 1;
  return value.subarray(0, end);
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d;
}

function partsOf(bytes: Buffer): Buffer[] {
  const members = secretMembersOf(bytes);
  if (members !== undefined) return [bytes, ...members];
  const lines = linesOf(bytes);
  return lines.length === 1 ? lines : [bytes, ...lines];
}

function linesOf(bytes: Buffer): Buffer[] {
  if (!bytes.includes(0x0a)) return [bytes];
  const lines = bytes.toString('latin1').split(/\r?\n/u);
  return lines.map((line) => Buffer.from(line.trim(), 'latin1'));
}

const secretName = /pass|pwd|secret|token|credential|private|api_?-?key|access_?-?key|connection/iu;

/** The texts that a JSON object keeps under telling names; undefined where the value is no JSON object. */
function secretMembersOf(bytes: Buffer): Buffer[] | undefined {
  if (bytes[0] !== 0x7b) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  return textsIn(parsed, false).flatMap((text) => linesOf(Buffer.from(text)));
}

/** JSON.parse bounds the depth no further than this recursion does: both by 64 KiB of brackets. */
function textsIn(value: unknown, isSecret: boolean): string[] {
  if (typeof value === 'string') return isSecret ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    textsIn(member, isSecret || secretName.test(name)),
  );
}

const oneCaseWord = /^(?:[a-z]{1,11}|[A-Z]{1,11}|[A-Z][a-z]{1,10})$/u;
const number = /^[\d.:/ -]{1,11}$/u;
/** `-----BEGIN PRIVATE KEY-----` */
const pemBoundary = /^-----[A-Z0-9 ]+-----$/u;
const distinctBytesMin = 4;

/** A word, a date, a port, a row of dashes: what every log is full of. */
function isCommon(part: Buffer): boolean {
  if (new Set(part).size < distinctBytesMin) return true;
  const text = part.toString('latin1');
  return oneCaseWord.test(text) || number.test(text) || pemBoundary.test(text);
}

function formsOf(part: Buffer): Buffer[] {
  const hex = part.toString('hex');
  const texts = [hex, hex.toUpperCase(), ...base64Of(part)];
  if (isUtf8(part)) {
    const text = part.toString('utf8');
    const url = encodeURIComponent(text);
    const form = new URLSearchParams({ '': text }).toString().slice(1);
    const plus = url.replaceAll('%20', '+');
    texts.push(url, plus, lowerEscapes(url), lowerEscapes(plus), form, ...jsonForms(text));
  }
  return [Buffer.from(part), ...texts.map((text) => Buffer.from(text))];
}

/** `%2F` as some write it: `%2f`. */
function lowerEscapes(url: string): string {
  return url.replaceAll(/%[0-9A-F]{2}/gu, (escape) => escape.toLowerCase());
}

/** Base64, plain and for URLs, whole and as the value shows from within a longer text: `user:VALUE`, say. */
function base64Of(part: Buffer): string[] {
  const plain = [0, 1, 2].map((shift) => base64Within(part, shift));
  const all = [part.toString('base64'), ...plain];
  return [...all, ...all.map((text) => text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''))];
}

/** The characters that depend on the value alone when `shift` bytes modulo three come before it. */
function base64Within(part: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), part]).toString('base64');
  const firstWhole = Math.ceil((shift * 8) / 6);
  const wholeUntil = Math.floor(((shift + part.length) * 8) / 6);
  return text.slice(firstWhole, wholeUntil);
}
