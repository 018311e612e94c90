import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ContainerFormat, containerLines } from './container.ts';

const time = '2026-11-26T10:00:00.123456789Z';
const timeMs = Date.parse(time);

function all(format: ContainerFormat, lines: readonly string[]) {
  const container = containerLines(format);
  return [...lines.flatMap((line) => container.push(line)), ...container.end()];
}

test('parts of a line of CRI are one, streams apart', () => {
  expect(
    all('cri', [
      `${time} stdout P one `,
      `${time} stderr F error`,
      `${time} stdout P and `,
      `${time} stdout F half`,
      `${time} stdout F `,
      'no CRI',
    ]),
  ).toEqual([
    { text: 'error', timeMs },
    { text: 'one and half', timeMs },
    { text: '', timeMs },
    { text: 'no CRI', timeMs: undefined },
  ]);
});

test('parts of a line of Docker are one', () => {
  expect(
    all('docker', [docker('one '), docker('error\n', 'stderr'), docker('line\n'), '{}', 'x', docker('rest')]),
  ).toEqual([
    { text: 'error', timeMs },
    { text: 'one line', timeMs },
    { text: '{}', timeMs: undefined },
    { text: 'x', timeMs: undefined },
    { text: 'rest', timeMs },
  ]);
});

test('a line has the time of its first part, and none where that says none', () => {
  const later = '2026-11-26T10:00:01Z';

  expect(all('cri', [`${time} stdout P one `, `${later} stdout F line`])).toEqual([
    { text: 'one line', timeMs },
  ]);
  expect(all('cri', ['yesterday stdout P one ', `${later} stdout F line`])).toEqual([
    { text: 'one line', timeMs: undefined },
  ]);
  expect(all('docker', ['{"log":"a line\\n"}'])).toEqual([{ text: 'a line', timeMs: undefined }]);
});

test.each(['{"log":1}', '{"log":null,"stream":"stdout"}', '"log"', '["log"]', 'null'])(
  'what Docker does not write stays as it is: %s',
  (line) => {
    expect(all('docker', [line])).toEqual([{ text: line, timeMs: undefined }]);
  },
);

test('parts are joined up to a million characters, and what follows is a line of its own', () => {
  const half = 'x'.repeat(500_000);

  expect(
    all(
      'cri',
      [half, half, 'more', 'rest'].map((text, at) => `${time} stdout ${at < 3 ? 'P' : 'F'} ${text}`),
    ).map(({ text }) => text.length),
  ).toEqual([1_000_000, 8]);
});

test('what waits for its rest is handed on once at the end, and then nothing waits', () => {
  const container = containerLines('cri');
  container.push(`${time} stdout P one`);

  expect(container.isEmpty()).toBe(false);
  expect(container.end()).toEqual([{ text: 'one', timeMs }]);
  expect([container.end(), container.isEmpty()]).toEqual([[], true]);
});

test('whatever comes, nothing is thrown and nothing of it is lost', () => {
  const line = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constantFrom(`${time} stdout P a`, `${time} stderr F b`, '{"log":"c"}'),
  );
  fc.assert(
    fc.property(fc.constantFrom('cri' as const, 'docker' as const), fc.array(line), (format, lines) => {
      const texts = all(format, lines).map(({ text }) => text);

      expect(texts.length).toBeLessThanOrEqual(lines.length);
      expect(lines.length === 0 || texts.length > 0).toBe(true);
    }),
  );
});

function docker(log: string, stream = 'stdout'): string {
  return JSON.stringify({ log, stream, time });
}
