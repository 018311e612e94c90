declare global {
  /** What V8 has and TypeScript does not know yet: numbers as they are written. */
  interface JSON {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
    isRawJSON(value: unknown): value is { readonly rawJSON: string };
  }
}

/** Numbers that are not written as they would be again: long ones, `1.0`, `1e3`, `-0`, `0.0000001`. Others are parsed as ever, faster. */
const mayChange = /\d[\d.]{15}|\.\d*0(?!\d)|\d[eE][+-]?\d|-0(?![1-9])|\.0{6}/u;

/**
 * `JSON.parse`, but a number that would not be written again as it was is kept as it was: an id of 20 digits loses none.
 * @throws SyntaxError
 */
export function parseExactly(text: string): unknown {
  if (!mayChange.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source
      ? JSON.rawJSON(source)
      : value,
  );
}

/** A text, a number or a truth of what was parsed so, as text; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  if (JSON.isRawJSON(value)) return value.rawJSON;
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;
}
