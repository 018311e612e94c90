import { array, assert, constantFrom, nat, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { needlesOf } from './needles.ts';
import { type PatternSearch, patternSearch } from './pattern-search.ts';
import { redactor } from './redactor.ts';

const dayMs = 24 * 60 * 60 * 1000;

const password = 'Tr0ub4dor&3-horse';

function setup(
  secrets: Record<string, string> = { 'database-password': password },
  patterns?: PatternSearch,
) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const redaction = redactor({ patterns, clock, log: (event) => events.push(event) });
  const learn = (name: string, text: string): void => redaction.learn(name, Secret.ofText(text));
  for (const [name, text] of Object.entries(secrets)) learn(name, text);
  const redact = (text: string, item = 'file', source = 'app'): string => {
    const positions = [{ item, value: '' }];
    return redaction.redact(source, { bytes: Buffer.from(text), positions, file: undefined }).toString();
  };
  const said = (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields);
  return { clock, redaction, learn, redact, said };
}

describe('events of several lines', () => {
  const event = array(
    constantFrom(
      'a',
      ' ',
      '\n',
      password,
      password.slice(0, 9),
      password.slice(9),
      'alpha',
      'omega',
      '\nomega',
    ),
    { minLength: 1, maxLength: 6 },
  ).map((parts) => parts.join(''));
  const chunk = record({
    events: array(event, { minLength: 1, maxLength: 8 }),
    cut: constantFrom('', '', password.slice(0, 9), 'a'),
  });
  const secrets = { 'database-password': password, lines: 'alpha\nomega' };
  const patterns = {
    none: undefined,
    'in lines': { card: 'a ?a' },
    'over lines': { card: String.raw`a\s+omega` },
  };

  test.each(Object.entries(patterns))(
    'are redacted in one chunk as they are one by one; patterns %s',
    async (_what, expressions) => {
      const search = expressions && (await patternSearch(expressions));
      assert(
        property(array(chunk, { minLength: 1, maxLength: 3 }), (chunks) => {
          const [together, oneByOne] = [setup(secrets, search), setup(secrets, search)];
          const positions = [{ item: 'file', value: '' }];
          const take = (made: ReturnType<typeof setup>, text: string, more: object): string =>
            made.redaction
              .redact('app', { bytes: Buffer.from(text), positions, file: undefined, ...more })
              .toString();
          for (const { events, cut } of chunks) {
            const eventLines = events.map((each) => each.split('\n').length);
            const redacted = take(together, events.map((each) => `${each}\n`).join(''), { eventLines });

            // Those of one line in a row are a chunk of lines.
            const parts = events.reduce<{ text: string; isOneEvent: boolean }[]>((made, each) => {
              const last = made.at(-1);
              const isOneEvent = each.includes('\n');
              if (!isOneEvent && last !== undefined && !last.isOneEvent) last.text += `${each}\n`;
              else made.push({ text: `${each}\n`, isOneEvent });
              return made;
            }, []);
            expect(redacted).toBe(
              parts.map(({ text, isOneEvent }) => take(oneByOne, text, { isOneEvent })).join(''),
            );
            expect(redacted.split('\n')).toHaveLength(eventLines.reduce((sum, lines) => sum + lines, 1));
            // A part of a line too long for one event goes by in between.
            expect(take(together, cut, {})).toBe(take(oneByOne, cut, {}));
          }
          expect(together.redaction.status()).toEqual(oneByOne.redaction.status());
        }),
        { numRuns: 100 },
      );
    },
  );
});

describe('redactor', () => {
  test('takes every place of a secret out and leaves the rest as it is', () => {
    const { redact } = setup();

    expect(redact(`a ${password} b ${password}\nno secret\n"${password}"\n`)).toBe(
      'a [secret database-password] b [secret database-password]\nno secret\n"[secret database-password]"\n',
    );
  });

  test('of two secrets that overlap nothing shows, neither head nor tail', () => {
    const { redact } = setup({ one: 'alpha-1234-omega', two: 'omega-5678-delta' });

    expect(redact('x alpha-1234-omega-5678-delta y\n')).toBe('x [secret one] y\n');
  });

  test('of two that touch each is taken out by its name', () => {
    const { redact } = setup({ one: 'alpha-1234', two: 'omega-5678' });

    expect(redact('alpha-1234omega-5678\n')).toBe('[secret one][secret two]\n');
  });

  test('nor does anything of them where a chunk ends within them', () => {
    const whole = 'alpha-1234-omega-5678-delta';
    for (let cut = 1; cut < whole.length; cut += 1) {
      const { redact } = setup({ one: 'alpha-1234-omega', two: 'omega-5678-delta' });

      const texts = [redact(`x ${whole.slice(0, cut)}`), redact(`${whole.slice(cut)} y\n`)];

      expect(texts.join('').replaceAll(/\[secret \w+\]/gu, '*')).toMatch(
        cut < 4 ? new RegExp(`^x ${whole.slice(0, cut)}\\* y\n$`, 'u') : /^x \*\*? y\n$/u,
      );
    }
  });

  test('whatever secrets overlap in whatever way, every byte of each is gone and nothing else', () => {
    const word = array(constantFrom('a', 'b', 'c', 'd', '1'), { minLength: 8, maxLength: 12 }).map((each) =>
      each.join(''),
    );
    assert(
      property(
        array(word, { minLength: 2, maxLength: 4 }),
        nat(7),
        array(nat(5)),
        (words, overlap, order) => {
          // Each begins with the end of the one before it.
          const secrets = words.map((each, index) => (words[index - 1] ?? '').slice(-overlap - 1) + each);
          const { redact } = setup(Object.fromEntries(secrets.map((text, index) => [`s${index}`, text])));
          const parts = [words.join(''), '-', ...secrets];
          const text = order.map((place) => parts[place % parts.length]).join('');
          const forms = secrets.flatMap((each) =>
            needlesOf(Buffer.from(each)).needles.map((needle) => needle.toString()),
          );
          const isCovered = Array.from(text, () => false);
          for (const form of forms) {
            for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) {
              isCovered.fill(true, at, at + form.length);
            }
          }

          const rest = redact(`${text}\n`).replaceAll(/\[secret s\d\]/gu, '');

          expect(rest).toBe(
            `${Array.from(text)
              .filter((_, at) => isCovered[at] === false)
              .join('')}\n`,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test('hands back the same buffer where there is nothing to take out', () => {
    const { redaction } = setup();
    const bytes = Buffer.from('a line\n');

    expect(redaction.redact('app', { bytes, positions: [], file: undefined })).toBe(bytes);
  });

  test('a secret cut by the end of a chunk is masked on both sides, wherever the cut is', () => {
    for (let cut = 1; cut < password.length; cut += 1) {
      const { redact } = setup();

      const first = redact(`login ${password.slice(0, cut)}`);
      const second = redact(`${password.slice(cut)} done\n`);

      expect(second).toBe('[secret database-password] done\n');
      expect(first).toBe(cut < 4 ? `login ${password.slice(0, cut)}` : 'login [secret database-password]');
    }
  });

  test('a secret cut into three chunks is masked in each', () => {
    const { redact } = setup();

    const texts = [
      redact(`x ${password.slice(0, 5)}`),
      redact(password.slice(5, 9)),
      redact(`${password.slice(9)}\n`),
    ];

    expect(texts[2]).toBe('[secret database-password]\n');
    expect(texts.join('')).not.toContain(password.slice(0, 5));
  });

  test('of the beginnings of secrets at the end of a chunk all goes, whichever of them is found first', () => {
    const secrets = { short: 'abcdWWWWXXXX', long: '1234abcdYYYY' };

    for (const order of [
      ['short', 'long'],
      ['long', 'short'],
    ] as const) {
      const { redact } = setup(Object.fromEntries(order.map((name) => [name, secrets[name]])));

      expect(redact('x 1234abcd')).toBe('x [secret long]');
    }
  });

  test('where a line goes on, only what is cut is masked from there: not what is whole on either side', () => {
    const { redact } = setup({ short: 'alpha-1234', long: 'a-Secret-that-is-longer' });

    expect([redact('x alpha-1234'), redact(' y alpha-1234 z\n')]).toEqual([
      'x [secret short]',
      ' y [secret short] z\n',
    ]);
  });

  test('of a thousand lines that go on the end is known, and of no more', () => {
    const { redact } = setup();
    const items = Array.from({ length: 1_001 }, (_, index) => `file ${index}`);
    for (const item of items) redact(password.slice(0, 9), item);

    expect([0, 1, 1_000].map((index) => redact(`${password.slice(9)}\n`, items[index]))).toEqual([
      `${password.slice(9)}\n`,
      '[secret database-password]\n',
      '[secret database-password]\n',
    ]);
  });

  test('one event is whole: what it ends with is not taken for the beginning of a secret', () => {
    const { redaction } = setup({
      tls: '-----BEGIN X-----\nMIGHAgEAMBMGByqG\n',
      db: 'postgres://app:hunter2@db',
    });
    const redact = (text: string): string => {
      const chunk = { bytes: Buffer.from(text), positions: [], file: undefined, isOneEvent: true };
      return redaction.redact('syslog', chunk).toString();
    };

    expect(redact('connected to postgres')).toBe('connected to postgres');
    expect(redact('://app:hunter2@db')).toBe('://app:hunter2@db');
    expect(redact('with postgres://app:hunter2@db')).toBe('with [secret db]');
  });

  test('lines as they were read and what was made of them are remembered apart', () => {
    const { redaction } = setup();
    const cut = { bytes: Buffer.from(password.slice(0, 8)), positions: [], file: '/log' };
    const rest = { bytes: Buffer.from(`${password.slice(8)}\n`), positions: [], file: '/log' };

    redaction.redact('app', cut, 'read');

    expect(redaction.redact('app', rest, 'made').toString()).toBe(`${password.slice(8)}\n`);
    expect(redaction.redact('app', rest, 'read').toString()).toBe('[secret database-password]\n');
  });

  test('what ends in one file does not go on in another', () => {
    const { redact } = setup();

    redact(password.slice(0, 8), 'one');

    expect(redact(`${password.slice(8)}\n`, 'other')).toBe(`${password.slice(8)}\n`);
  });

  test('nor where the files alone are known, and not yet their positions', () => {
    const { redaction } = setup();
    const redact = (text: string, file: string): string =>
      redaction.redact('app', { bytes: Buffer.from(text), positions: [], file }).toString();

    redact(password.slice(0, 8), '/one');

    expect(redact(`${password.slice(8)}\n`, '/other')).toBe(`${password.slice(8)}\n`);
    expect(redact(`${password.slice(8)}\n`, '/one')).toBe('[secret database-password]\n');
  });

  test('a value that was replaced is still looked for, for a day', async () => {
    const { clock, learn, redact } = setup();
    learn('database-password', 'another-Secret-9');

    await clock.advance(dayMs - 1);
    expect(redact(`${password} another-Secret-9\n`)).toBe(
      '[secret database-password] [secret database-password]\n',
    );
    await clock.advance(1);
    expect(redact(`${password} another-Secret-9\n`)).toBe(`${password} [secret database-password]\n`);
  });

  test('of a secret that changes all the time the latest eight values are looked for', () => {
    const { learn, redact } = setup({});
    const values = Array.from({ length: 9 }, (_, index) => `changing-Secret-${index}`);
    for (const value of values) learn('database-password', value);

    expect(values.map((value) => redact(`${value}\n`))).toEqual([
      'changing-Secret-0\n',
      ...Array.from({ length: 8 }, () => '[secret database-password]\n'),
    ]);
    // What was overwritten is looked for no more.
    expect(redact('\0'.repeat(40))).toBe('\0'.repeat(40));
  });

  test('the day of a former value begins when it was replaced, whatever comes after it', async () => {
    const { clock, learn, redact } = setup();
    learn('database-password', 'another-Secret-9');
    await clock.advance(dayMs / 2);
    learn('database-password', 'a-third-Secret-7');
    await clock.advance(dayMs / 2);

    expect(redact(`${password} another-Secret-9\n`)).toBe(`${password} [secret database-password]\n`);
  });

  test('a secret that left the config is still looked for, for a day, and one that came back for good', async () => {
    const { clock, redaction, learn, redact } = setup();

    redaction.keepOnly(new Set());
    expect(redact(`${password}\n`)).toBe('[secret database-password]\n');
    learn('database-password', password);
    await clock.advance(dayMs);
    expect(redact(`${password}\n`)).toBe('[secret database-password]\n');
    redaction.keepOnly(new Set());
    await clock.advance(dayMs);
    expect(redact(`${password}\n`)).toBe(`${password}\n`);
    expect(redaction.status().secrets).toBe(0);
  });

  test('a secret that stays in the config is looked for as long as it is there', async () => {
    const { clock, redaction, redact } = setup({ 'database-password': password, other: 'another-Secret-9' });

    redaction.keepOnly(new Set(['database-password']));
    await clock.advance(dayMs);

    expect(redact(`${password} another-Secret-9\n`)).toBe('[secret database-password] another-Secret-9\n');
  });

  test('once it is closed nothing is looked for, nor known', () => {
    const { redaction, redact } = setup({ 'database-password': password, flag: 'true' });

    redaction.close();

    expect(redact(`${password} ${'\0'.repeat(40)}\n`)).toBe(`${password} ${'\0'.repeat(40)}\n`);
    expect(redaction.status().secrets).toBe(0);
  });

  test('each secret seen in each source is said once a minute, with how often it was', async () => {
    const { clock, redact, said } = setup();

    redact(`${password}\n`);
    redact(`${password} ${password}\n`);
    redact(`${password}\n`, 'file', 'other');
    await clock.advance(59_999);
    redact(`${password}\n`);
    await clock.advance(1);
    redact(`${password}\n`);

    expect(said('events.secret-redacted')).toEqual([
      { source: 'app', secret: 'database-password', times: 1 },
      { source: 'other', secret: 'database-password', times: 1 },
      { source: 'app', secret: 'database-password', times: 4 },
    ]);
  });

  test('a value that is not looked for is said, once, and is in the status', () => {
    const { learn, redaction, redact, said } = setup({ flag: 'true' });
    learn('flag', 'true');

    expect(redact('true\n')).toBe('true\n');
    expect(said('events.secret-not-redacted')).toEqual([{ secret: 'flag', reason: 'too-short' }]);
    expect(redaction.status()).toEqual({ secrets: 0, leftOut: { flag: 'too-short' }, redacted: 0 });
  });

  test('what is not looked for is in the status until it is, or has left the config', () => {
    const { learn, redaction } = setup({ flag: 'true', port: '5432', stage: 'test' });

    learn('flag', 'a-Secret-by-now');
    redaction.keepOnly(new Set(['flag', 'port']));

    expect(redaction.status()).toEqual({ secrets: 1, leftOut: { port: 'too-short' }, redacted: 0 });
  });

  test('a value that becomes too short no longer counts as the old one', async () => {
    const { clock, learn, redact } = setup();

    learn('database-password', 'short');
    await clock.advance(dayMs);

    expect(redact(`${password}\n`)).toBe(`${password}\n`);
  });

  test('however a text is cut into chunks, no whole secret comes out', () => {
    const secrets = { one: 'aXbYcZdWaXbYcZdW', two: 'cZdWaXbYqqqq' };
    const unit = constantFrom('aXbYcZdW', 'cZdWaXbY', 'qqqq', 'aX', ' ', '\n');
    assert(
      property(array(unit, { maxLength: 40 }), array(nat(200)), (units, cuts) => {
        const { redact } = setup(secrets);
        const text = `${units.join('')}\n`;
        const ends = [...new Set([...cuts.map((cut) => cut % text.length), text.length])].toSorted(
          (a, b) => a - b,
        );
        let from = 0;
        let out = '';
        for (const end of ends) {
          if (end > from) out += redact(text.slice(from, end));
          from = Math.max(from, end);
        }
        for (const secret of Object.values(secrets)) expect(out).not.toContain(secret);
        expect(out.split('\n').length).toBe(text.split('\n').length);
      }),
    );
  });
});
