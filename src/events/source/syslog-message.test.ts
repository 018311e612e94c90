import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSyslog } from './syslog-message.ts';

test.each([
  [
    // RFC 5424, section 6.5, example 1.
    "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8",
    {
      facility: 'auth',
      severity: 'crit',
      time: '2003-10-11T22:14:15.003Z',
      host: 'mymachine.example.com',
      app: 'su',
      msgid: 'ID47',
      message: "'su root' failed for lonvick on /dev/pts/8",
    },
  ],
  [
    // Example 3.
    '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] An application event log entry...',
    {
      facility: 'local4',
      severity: 'notice',
      time: '2003-10-11T22:14:15.003Z',
      host: 'mymachine.example.com',
      app: 'evntslog',
      msgid: 'ID47',
      data: { 'exampleSDID@32473': { iut: '3', eventSource: 'Application', eventID: '1011' } },
      message: 'An application event log entry...',
    },
  ],
  [
    // Example 4: structured data alone.
    '<165>1 2003-10-11T22:14:15.003Z host app 42 - [a b="c\\"\\]\\\\d"][e]',
    {
      facility: 'local4',
      severity: 'notice',
      time: '2003-10-11T22:14:15.003Z',
      host: 'host',
      app: 'app',
      pid: '42',
      data: { a: { b: 'c"]\\d' }, e: {} },
      message: '',
    },
  ],
  [
    // RFC 3164, section 5.4, example 1.
    "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
    {
      facility: 'auth',
      severity: 'crit',
      time: 'Oct 11 22:14:15',
      host: 'mymachine',
      app: 'su',
      message: "'su root' failed for lonvick on /dev/pts/8",
    },
  ],
  [
    '<30>2026-11-26T10:00:00.123456+01:00 host systemd[1]: Started.',
    {
      facility: 'daemon',
      severity: 'info',
      time: '2026-11-26T10:00:00.123456+01:00',
      host: 'host',
      app: 'systemd',
      pid: '1',
      message: 'Started.',
    },
  ],
  ['<13>app: hello', { facility: 'user', severity: 'notice', app: 'app', message: 'hello' }],
  ['no syslog at all', { message: 'no syslog at all' }],
  ['<999>x', { message: '<999>x' }],
  ['', { message: '' }],
])('%s', (text, parts) => {
  expect(parseSyslog(text)).toEqual(parts);
});

test('whatever comes, there is a message, and none of it takes long', () => {
  const piece = fc.constantFrom(
    '<34>',
    '1 ',
    '- ',
    '[a',
    ' b="',
    '"',
    ']',
    '\\',
    'Oct 11 22:14:15 ',
    'host ',
    'app[1]: ',
    'x',
    '\xff',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 60 }), (pieces) => {
      const text = pieces.join('');

      expect(text.endsWith(parseSyslog(text).message)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
