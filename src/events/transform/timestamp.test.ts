import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatProblem, readTime, zoneProblem } from './timestamp.ts';

const nowMs = Date.UTC(2026, 10, 26, 12);
const read = (format: string, text: string, zone = 'UTC') => {
  const time = readTime({ format, zone })(text, nowMs);
  return time === undefined ? undefined : new Date(time).toISOString();
};

test.each([
  ['iso', '2026-11-26T10:17:10Z it is', '2026-11-26T10:17:10.000Z'],
  ['iso', 'at 2026-11-26 10:17:10,123 it is', '2026-11-26T10:17:10.123Z'],
  ['iso', '2026-11-26T10:17:10.123456789+02:00', '2026-11-26T08:17:10.123Z'],
  ['iso', '[2026-11-26 10:17]', '2026-11-26T10:17:00.000Z'],
  ['%d/%b/%Y:%H:%M:%S %z', '10.0.0.1 - - [26/Nov/2026:10:17:10 +0100] "GET /"', '2026-11-26T09:17:10.000Z'],
  ['%b %e %H:%M:%S', 'Nov  6 10:17:10 host app: x', '2026-11-06T10:17:10.000Z'],
  ['%b %d %T', 'Dec 31 23:59:59 host app: x', '2025-12-31T23:59:59.000Z'],
  ['%m/%d/%y %I:%M:%S %p', '11/26/26 12:17:10 AM', '2026-11-26T00:17:10.000Z'],
  ['%D %R', '11/26/26 10:17', '2026-11-26T10:17:00.000Z'],
  ['%Y-%j', '2026-330', '2026-11-26T00:00:00.000Z'],
  ['%j %T', '365 23:59:59', '2025-12-31T23:59:59.000Z'],
  ['%j %T', '331 12:00:00', '2026-11-27T12:00:00.000Z'],
  ['%j %T', '331 12:00:01', '2025-11-27T12:00:01.000Z'],
  ['%b %d %T', 'Nov 27 12:00:00', '2026-11-27T12:00:00.000Z'],
  ['%b %d %T', 'Nov 27 12:00:01', '2025-11-27T12:00:01.000Z'],
  ['%s.%L', '1795000000.250', new Date(1_795_000_000_250).toISOString()],
  ['epoch-s', '1795000000.5 x', new Date(1_795_000_000_500).toISOString()],
  ['epoch-ms', '1795000000123', new Date(1_795_000_000_123).toISOString()],
  ['epoch-us', '1795000000123456', new Date(1_795_000_000_123).toISOString()],
  ['epoch-ns', '1795000000123456789', new Date(1_795_000_000_123).toISOString()],
  ['iso', 'no time', undefined],
  ['%Y-%m-%d', '2026-13-01', undefined],
])('%s finds in %j %s', (format, text, expected) => {
  expect(read(format, text)).toBe(expected);
});

test('a time without a year that is of the next one already, where the day begins earlier, is of that', () => {
  const lastEvening = Date.UTC(2026, 11, 31, 12);
  const inTokyo = readTime({ format: '%b %d %T', zone: 'Asia/Tokyo' });

  expect(inTokyo('Jan 01 00:10:00', Date.UTC(2026, 11, 31, 15, 10))).toBe(Date.UTC(2026, 11, 31, 15, 10));
  expect(inTokyo('Dec 31 21:00:00', lastEvening)).toBe(lastEvening);
});

/** So many digits, mostly. */
function digits(length: number) {
  return fc.oneof(
    fc.nat(10 ** length - 1).map((value) => `${value}`.padStart(length, '0')),
    fc.constantFrom('0'.repeat(length), '1'.repeat(length), '٢'.repeat(length), ''),
  );
}

test('an ISO time is the same wherever it stands', () => {
  const two = fc.oneof(
    fc.integer({ min: 1, max: 12 }).map((value) => `${value}`.padStart(2, '0')),
    digits(2),
  );
  const text = fc
    .tuple(
      digits(4),
      two,
      two,
      fc.constantFrom('T', ' ', 't'),
      two,
      two,
      two,
      fc.oneof(
        fc.constant(''),
        fc
          .tuple(fc.constantFrom('.', ','), fc.nat(10))
          .map(([mark, length]) => mark + '1234567890'.slice(0, length)),
      ),
      fc.constantFrom('Z', ' Z', '', 'UTC', '+02:00', 'z', 'Z and more'),
    )
    .map(([y, mo, d, t, h, mi, s, f, z]) => `${y}-${mo}-${d}${t}${h}:${mi}:${s}${f}${z}`);
  fc.assert(
    fc.property(text, fc.constantFrom('UTC', 'Europe/Berlin'), (time, zone) => {
      expect(read('iso', time, zone)).toBe(read('iso', `at ${time}`, zone));
    }),
    { numRuns: 2_000 },
  );
});

test.each(['00', '12', '13', '23', '24', '31', '32', '59', '60', '61', '99'])(
  'an ISO time with a part of %s is the same, or none, wherever it stands',
  (part) => {
    const whole = ['2026', '10', '11', '10', '17', '10'];
    for (const index of whole.keys()) {
      const [year, month, day, hour, minute, second] = whole.with(index, index === 0 ? `00${part}` : part);
      const time = `${year}-${month}-${day}T${hour}:${minute}:${second}.5Z`;
      expect([time, read('iso', time)]).toEqual([time, read('iso', `at ${time}`)]);
    }
  },
);

describe('a time without its zone', () => {
  test.each([
    ['Europe/Berlin', '2026-07-01 12:00', '2026-07-01T10:00:00.000Z'],
    ['Europe/Berlin', '2026-12-01 12:00', '2026-12-01T11:00:00.000Z'],
    ['-05:30', '2026-12-01 12:00', '2026-12-01T17:30:00.000Z'],
  ])('is of %s', (zone, text, expected) => {
    expect(read('iso', text, zone)).toBe(expected);
  });

  test('is read right on both sides of a change of the clocks, in whatever order', () => {
    const berlin = readTime({ format: 'iso', zone: 'Europe/Berlin' });
    const texts = [
      '2026-10-25 01:59',
      '2026-10-25 03:01',
      '2026-10-25 01:59',
      '2026-03-29 03:01',
      '2026-03-29 01:59',
    ];

    expect(texts.map((text) => new Date(berlin(text, nowMs) ?? 0).toISOString().slice(0, 16))).toEqual([
      '2026-10-24T23:59',
      '2026-10-25T02:01',
      '2026-10-24T23:59',
      '2026-03-29T01:01',
      '2026-03-29T00:59',
    ]);
  });
});

test.each([
  ['%Q', 'has %Q, which is not known'],
  ['%', 'has %, which is not known'],
  ['%Y %F', 'says the year twice'],
  ['rfc3339', 'must be iso, epoch-s'],
])('a format %j %s', (format, problem) => {
  expect(formatProblem(format)).toContain(problem);
});

test.each(['iso', 'epoch-ns', '%Y-%m-%d %H:%M:%S.%f %z'])('a format %j is one', (format) => {
  expect(formatProblem(format)).toBeUndefined();
});

test('a zone is one that there is', () => {
  expect([zoneProblem('UTC'), zoneProblem('Europe/Berlin'), zoneProblem('+02:00')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(zoneProblem('Europe/Nowhere')).toContain('must be a time zone');
});

test('whatever a line is, a format reads it or does not, at once', () => {
  const format = fc.array(
    fc.constantFrom('%Y', '%m', '%d', '%H', '%M', '%S', '%z', '-', ' ', ':', '.', '(', '[', '\\'),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(format, fc.string({ maxLength: 200 }), (parts, text) => {
      const joined = `%j${parts.join('')}`;
      fc.pre(formatProblem(joined) === undefined);

      const time = readTime({ format: joined, zone: 'UTC' })(text, nowMs);

      expect(time === undefined || Number.isInteger(time)).toBe(true);
    }),
  );
});

test('a time that was written is the time that is read', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date('1970-01-02'), max: new Date('2099-01-01'), noInvalidDate: true }),
      (date) => {
        const text = `x ${date.toISOString().replace('T', ' ').replace('Z', '')} y`;

        expect(readTime({ format: '%F %T.%f', zone: 'UTC' })(text, nowMs)).toBe(date.getTime());
        expect(readTime({ format: 'iso', zone: 'UTC' })(text, nowMs)).toBe(date.getTime());
      },
    ),
  );
});
