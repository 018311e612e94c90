import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { Secret } from '../../base/secret.ts';
import { configuredRedactor } from './configured-redactor.ts';
import { patternOverlapBytes, type RedactedChunk } from './redactor.ts';

const card = String.raw`\b\d{4}(?:[ -]?\d{4}){3}\b`;
const pem = '(?s)-----BEGIN KEY-----.*?-----END KEY-----';

async function setup(patterns: Record<string, string>, secrets = true) {
  const events: LogEvent[] = [];
  const clock = fakeClock();
  const redaction = await configuredRedactor(
    { secrets, patterns },
    { clock, log: (event) => events.push(event) },
  );
  if (redaction === undefined) throw new Error('nothing is redacted');
  redaction.learn('password', Secret.ofText('Tr0ub4dor&3-horse'));
  const redact = (text: string, shape: Partial<RedactedChunk> = {}): string =>
    redaction.redact('app', { bytes: Buffer.from(text), positions: [], file: '/log', ...shape }).toString();
  const said = () => events.map(({ name, fields }) => [name, fields]);
  return { redaction, redact, said };
}

test('without patterns and with secrets that stay there is nothing to do', async () => {
  const redaction = await configuredRedactor(
    { secrets: false, patterns: {} },
    { clock: fakeClock(), log: () => undefined },
  );

  expect(redaction).toBeUndefined();
});

test('without patterns secrets are taken out, as by default', async () => {
  const { redact, redaction } = await setup({});

  expect(redact('login with Tr0ub4dor&3-horse\n')).toBe('login with [secret password]\n');
  expect(redaction.status()).toEqual({ secrets: 1, leftOut: {}, redacted: 1 });
});

test('what matches a pattern is taken out, counted and told under its name', async () => {
  const { redact, redaction, said } = await setup({ card });
  expect(redaction.status()).toMatchObject({ redacted: 0, patterns: { card: 0 } });

  expect(redact('paid with 4111 1111 1111 1111, not 4222222222222222\nok\n')).toBe(
    'paid with [redacted card], not [redacted card]\nok\n',
  );
  expect(said()).toEqual([['events.pattern-redacted', { source: 'app', pattern: 'card', times: 1 }]]);
  expect(redaction.status()).toMatchObject({ redacted: 2, patterns: { card: 2 } });
});

test('a secret in what matches a pattern is told all the same', async () => {
  const { redact, redaction, said } = await setup({ login: String.raw`password=\S+` });

  expect(redact('login password=Tr0ub4dor&3-horse ok\n')).toBe('login [redacted login] ok\n');
  expect(said().map(([name]) => name)).toEqual(['events.pattern-redacted', 'events.secret-redacted']);
  expect(redaction.status()).toEqual({ secrets: 1, leftOut: {}, redacted: 2, patterns: { login: 1 } });
});

test('with secrets that stay, patterns alone are taken out', async () => {
  const { redact } = await setup({ card }, false);

  expect(redact('Tr0ub4dor&3-horse 4111111111111111\n')).toBe('Tr0ub4dor&3-horse [redacted card]\n');
});

test('each line of a match over several lines stays a line', async () => {
  const { redact } = await setup({ pem });

  expect(redact('key -----BEGIN KEY-----\nMIGH\nAgEA\n-----END KEY----- end\nnext\n')).toBe(
    'key [redacted pem]\n[redacted pem]\n[redacted pem]\n[redacted pem] end\nnext\n',
  );
});

test.each([
  ['one line', String.raw`token=\S+\n`, 'a token=x1\nnext\n', 'a [redacted end]\nnext\n'],
  [
    'two',
    String.raw`(?s)token=.*?;\n`,
    'a token=x1\nx2;\nnext\n',
    'a [redacted end]\n[redacted end]\nnext\n',
  ],
])(
  'behind a match over %s that goes up to the end of the line the next stays as it is',
  async (_lines, end, text, left) => {
    const { redact } = await setup({ end });

    expect(redact(text)).toBe(left);
  },
);

test('the rest of a match that began in the chunk before is masked', async () => {
  const { redact } = await setup({ pem });

  redact('key -----BEGIN KEY-----\nMIGH\n');

  expect(redact('AgEA\n-----END KEY-----\nnext\n')).toBe('[redacted pem]\n[redacted pem]\nnext\n');
  expect(redact('AgEA\n-----END KEY-----\n')).toBe('AgEA\n-----END KEY-----\n');
});

test('so is that of one that began in an event of the chunk before, though that chunk had nothing else', async () => {
  const { redact } = await setup({ pem });

  redact('two\nlines\n-----BEGIN KEY-----\n', { eventLines: [2, 1] });

  expect(redact('MIGH\n-----END KEY-----\nmore\nlines\n', { eventLines: [1, 1, 2] })).toBe(
    '[redacted pem]\n[redacted pem]\nmore\nlines\n',
  );
});

test('the rest of a match in a line that a chunk ended in is masked', async () => {
  const { redact } = await setup({ card });

  redact('4111 1111 ');

  expect(redact('1111 1111 done\n')).toBe('[redacted card] done\n');
  expect(redact('1111 1111 done\n')).toBe('1111 1111 done\n');
});

test('a match is seen so far before the end of a chunk, and no further', async () => {
  const within = await setup({ pem });
  const beyond = await setup({ pem });
  const begin = '-----BEGIN KEY-----';
  const rest = 'x\n-----END KEY-----\n';

  within.redact(`${begin}${'a'.repeat(patternOverlapBytes - begin.length - 2)}\n`);
  beyond.redact(`${begin}${'a'.repeat(patternOverlapBytes - begin.length)}\n`);

  expect(within.redact(rest)).toBe('[redacted pem]\n[redacted pem]\n');
  expect(beyond.redact(rest)).toBe(rest);
});

test('one event is searched by itself', async () => {
  const { redact } = await setup({ card, pem });

  redact('4111 1111 ', { isOneEvent: true });

  expect(redact('1111 1111', { isOneEvent: true })).toBe('1111 1111');
  expect(redact('a\n-----BEGIN KEY-----\nb\n-----END KEY-----\n', { isOneEvent: true })).toBe(
    'a\n[redacted pem]\n[redacted pem]\n[redacted pem]\n',
  );
});
