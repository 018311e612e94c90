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
