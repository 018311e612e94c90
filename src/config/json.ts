/** Where and how a text fails to be strict JSON. Never a piece of the text. */
export interface JsonFault {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 units. */
  readonly column: number;
  readonly fault: 'syntax' | 'ends-early' | 'duplicate-key' | 'forbidden-key';
}

export type JsonParsed = { readonly value: unknown } | JsonFault;

/**
 * Parses JSON. Stricter than JSON.parse in two things: a key may not appear twice in an object, where the last one
 * would silently win, and no key may be `__proto__`, which schemas silently drop. JSON.parse's own messages are not used: they quote the text and often lack the position.
 */
export function parseJson(text: string): JsonParsed {
  const found = findFault(text);
  if (found === undefined) return { value: JSON.parse(text) };
  const lines = text.slice(0, found.at).split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1, fault: found.fault };
}

type Expected = 'value' | 'first-item' | 'first-key' | 'key' | 'colon' | 'comma' | 'end';

/** An object's keys so far, or 'array'. */
type Open = Set<string> | 'array';

const space = /[\t\n\r ]*/uy;
const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/uy;
const escape = /\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/uy;

/** The grammar of RFC 8259, without recursion: depth costs no stack. */
function findFault(text: string): { at: number; fault: JsonFault['fault'] } | undefined {
  const open: Open[] = [];
  let expected: Expected = 'value';
  let at = 0;
  const isValueExpected = () => expected === 'value' || expected === 'first-item';
  const afterValue = (): Expected => (open.length === 0 ? 'end' : 'comma');

  for (;;) {
    at = skip(space, text, at) ?? at;
    const character = text[at];
    if (character === undefined) return expected === 'end' ? undefined : { at, fault: 'ends-early' };
    const within = open.at(-1);

    if (character === '"' && (isValueExpected() || expected === 'key' || expected === 'first-key')) {
      const { end, fault } = stringEnd(text, at);
      if (fault !== undefined) return { at: end, fault };
      if (isValueExpected()) {
        expected = afterValue();
      } else if (within instanceof Set) {
        const key: string = JSON.parse(text.slice(at, end));
        if (key === '__proto__') return { at, fault: 'forbidden-key' };
        if (within.has(key)) return { at, fault: 'duplicate-key' };
        within.add(key);
        expected = 'colon';
      }
      at = end;
    } else if ((character === '{' || character === '[') && isValueExpected()) {
      open.push(character === '{' ? new Set() : 'array');
      expected = character === '{' ? 'first-key' : 'first-item';
      at += 1;
    } else if (closes(character, within, expected)) {
      open.pop();
      expected = afterValue();
      at += 1;
    } else if (character === ':' && expected === 'colon') {
      expected = 'value';
      at += 1;
    } else if (character === ',' && expected === 'comma') {
      expected = within === 'array' ? 'value' : 'key';
      at += 1;
    } else {
      const end = isValueExpected() ? skip(scalar, text, at) : undefined;
      if (end === undefined) return { at, fault: 'syntax' };
      expected = afterValue();
      at = end;
    }
  }
}

function closes(character: string, within: Open | undefined, expected: Expected): boolean {
  if (character === '}') return within instanceof Set && (expected === 'comma' || expected === 'first-key');
  if (character === ']') return within === 'array' && (expected === 'comma' || expected === 'first-item');
  return false;
}

function stringEnd(text: string, start: number): { end: number; fault?: JsonFault['fault'] } {
  for (let at = start + 1; ; ) {
    const character = text[at];
    if (character === undefined) return { end: at, fault: 'ends-early' };
    if (character === '"') return { end: at + 1 };
    if (character === '\\') {
      const end = skip(escape, text, at);
      if (end === undefined) return { end: at, fault: 'syntax' };
      at = end;
    } else if (character < ' ') {
      return { end: at, fault: 'syntax' };
    } else {
      at += 1;
    }
  }
}

function skip(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}
