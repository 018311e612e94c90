import { assert, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { needleBytesMin, needlesOf, valueBytesMax } from './needles.ts';

const found = (value: string, text: string): boolean =>
  needlesOf(Buffer.from(value)).needles.some((needle) => Buffer.from(text).includes(needle));

describe('needlesOf', () => {
  const value = 'p4ss/w"örd+=&1é\\x';

  test.each([
    ['as it is', value],
    ['in JSON', JSON.stringify({ password: value })],
    ['in JSON of ASCII', '"p4ss/w\\"\\u00f6rd+=&1\\u00e9\\\\x"'],
    ['in JSON of Go', '"p4ss/w\\"örd+=\\u00261é\\\\x"'],
    ['in JSON of PHP', '"p4ss\\/w\\"\\u00f6rd+=&1\\u00e9\\\\x"'],
    ['in JSON of PHP beyond ASCII', '"p4ss\\/w\\"örd+=&1é\\\\x"'],
    ['in a URL', `https://db/?p=${encodeURIComponent(value)}`],
    ['in a form', new URLSearchParams({ p: value }).toString()],
    ['in lower-case escapes', encodeURIComponent(value).toLowerCase()],
    ['in hex', Buffer.from(value).toString('hex')],
    ['in upper-case hex', Buffer.from(value).toString('hex').toUpperCase()],
    ['in base64', Buffer.from(value).toString('base64')],
    ['in base64 for URLs', Buffer.from(value).toString('base64url')],
    ['in base64 behind one byte', Buffer.from(`:${value}`).toString('base64')],
    ['in base64 behind two bytes', Buffer.from(`u:${value}@host`).toString('base64')],
    ['in base64 for URLs behind a user', Buffer.from(`user:${value}`).toString('base64url')],
  ])('finds a value %s', (_form, text) => {
    expect(found(value, `12:00 request ${text} done`)).toBe(true);
  });

  test.each([8, 9, 10].flatMap((length) => [0, 1, 2].map((before) => [length, before] as const)))(
    'of %i bytes with %i before them and others behind, base64 shows nothing but what both make',
    (length, before) => {
      // Of these bytes base64 has both of the characters that URLs have others for.
      const secret = Buffer.from('\xfb\xef\xbe>>?\xff\xf0?a'.slice(0, length), 'latin1');
      const text = Buffer.concat([Buffer.alloc(before, 'u'), secret, Buffer.from('@h')]);
      const own = Math.floor(((before + length) * 8) / 6) - Math.ceil((before * 8) / 6);
      const longestIn = (encoded: string): number =>
        Math.max(
          ...needlesOf(secret)
            .needles.filter((needle) => encoded.includes(needle.toString('latin1')))
            .map((needle) => needle.length),
        );

      expect(longestIn(text.toString('base64'))).toBe(own);
      expect(longestIn(text.toString('base64url'))).toBe(own);
    },
  );

  test('of a value that is no text no form for texts is looked for: it would be that of any bytes', () => {
    const texts = needlesOf(Buffer.from('8081828384858687', 'hex')).needles.map(String);

    expect(texts.filter((text) => text.includes('%EF%BF%BD') || text.includes(String.raw`\ufffd`))).toEqual(
      [],
    );
  });

  const marked = 'a<b>c&d/e\u2028f\u2029';

  test.each([
    ['Go', 'a\\u003cb\\u003ec\\u0026d/e\\u2028f\\u2029'],
    ['Go without HTML', 'a<b>c&d/e\\u2028f\\u2029'],
    ['PHP', 'a<b>c&d\\/e\\u2028f\\u2029'],
  ])('finds brackets and line separators as %s writes them', (_writer, text) => {
    expect(found(marked, `{"password":"${text}"}`)).toBe(true);
  });

  const hard = 'a+b\'c`d"e\\f\u007fg\u001bé=😀';

  test.each([
    ['Python', String.raw`a+b'c${'`'}d\"e\\f\u007fg\u001b\u00e9=\ud83d\ude00`],
    ['.NET', String.raw`a\u002Bb\u0027c\u0060d\u0022e\\f\u007Fg\u001B\u00E9=\uD83D\uDE00`],
    ['.NET, relaxed', String.raw`a+b'c${'`'}d\"e\\f\u007Fg\u001Bé=\uD83D\uDE00`],
    ['Jackson', String.raw`a+b'c${'`'}d\"e\\f${'\u007f'}g\u001Bé=😀`],
    ['Gson', String.raw`a+b\u0027c${'`'}d\"e\\f${'\u007f'}g\u001bé\u003d😀`],
    ['JSON in JSON', JSON.stringify(JSON.stringify(hard).slice(1, -1)).slice(1, -1)],
  ])('finds what %s escapes', (_writer, text) => {
    expect(found(hard, `{"password":"${text}"}`)).toBe(true);
  });

  test('a value that every writer of JSON leaves as it is has no more needles for that', () => {
    const texts = needlesOf(Buffer.from('qW3-eR5-tY7-uI9')).needles.map(String);

    expect(texts.filter((text) => text.includes('qW3-eR5'))).toEqual(['qW3-eR5-tY7-uI9']);
  });

  test('each line of a value with several lines stands for itself', () => {
    const pem =
      '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqG\nSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n';

    expect(found(pem, 'key: SM49AgEGCCqGSM49')).toBe(true);
    expect(found(pem, '-----BEGIN PRIVATE KEY-----')).toBe(false);
  });

  test('a value with several lines is found whole where it is encoded, and its short lines are not found', () => {
    const lines = 'us3r\npa55';

    expect(found(lines, `key: ${Buffer.from(lines).toString('base64')}`)).toBe(true);
    expect(found(lines, `call ${Buffer.from('us3r').toString('hex')}`)).toBe(false);
  });

  test('the end of the line behind a value, as any system writes it, is no part of it', () => {
    expect(found('qW3-eR5-tY7\r\n', 'connect with qW3-eR5-tY7.')).toBe(true);
  });

  test.each([
    ['the shortest', 'qW3-eR5-'],
    ['the longest', 'qW3-eR5-'.repeat(valueBytesMax / 8)],
    ['of as few kinds of characters as may be', '1a2b1a2b'],
  ])('%s value that is looked for', (_which, text) => {
    expect(found(text, `with ${text}.`)).toBe(true);
  });

  test('what is below a telling name is secret too, and members of any kind are beside it', () => {
    const service = JSON.stringify({
      credentials: { current: { value: 'qW3-eR5-tY7', since: 1795000000 }, former: null, isNew: true },
    });

    expect(found(service, 'connect with qW3-eR5-tY7')).toBe(true);
  });

  test('of a JSON object the members with telling names stand for themselves, and no others', () => {
    const database = JSON.stringify({ host: 'db.internal.example', master: { password: 'qW3-eR5-tY7' } });

    expect(found(database, 'connect as admin with qW3-eR5-tY7')).toBe(true);
    expect(found(database, 'connect to db.internal.example')).toBe(false);
    expect(found(database, `config: ${database}`)).toBe(true);
  });

  test.each([
    ['true', 'too-short'],
    ['', 'too-short'],
    ['secret\n\n', 'too-short'],
    ['production', 'too-common'],
    ['Password', 'too-common'],
    ['2026-11-22', 'too-common'],
    ['------------------------', 'too-common'],
    ['x'.repeat(65_537), 'too-long'],
  ])('leaves %j out: %s', (text, leftOut) => {
    expect(needlesOf(Buffer.from(text))).toEqual({ needles: [], leftOut });
  });

  test('every needle is long enough to mean something, and none is there twice', () => {
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        const { needles, leftOut } = needlesOf(Buffer.from(bytes));
        const texts = needles.map((needle) => needle.toString('latin1'));
        expect(new Set(texts).size).toBe(needles.length);
        expect(texts.every(({ length }) => length >= needleBytesMin)).toBe(true);
        expect(needles.length === 0).toBe(leftOut !== undefined);
      }),
    );
  });
});
