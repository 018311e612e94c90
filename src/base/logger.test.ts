import { expect, test } from 'vitest';
import { baseError, reportOf } from './errors.ts';
import { logEventsOf } from './log-events.ts';
import { createLogger } from './logger.ts';

const event = logEventsOf({
  'thing.done': { level: 'info', summary: 'a thing was done', fields: { count: 'things' } },
  'thing.failed': {
    level: 'error',
    summary: 'a thing failed',
    fields: { error: 'what failed' },
    audit: 'failure',
  },
});

function setup(options: { pretty?: boolean; level?: 'debug' | 'warn' } = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    level: options.level ?? 'debug',
    pretty: options.pretty ?? false,
    write: (line) => lines.push(line),
  });
  return { logger, lines };
}

test('an event is one JSON line with its level, time, name, summary and fields', () => {
  const { logger, lines } = setup();

  logger.log(event('thing.done', { count: 3 }));

  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/u),
    event: 'thing.done',
    message: 'a thing was done',
    count: 3,
  });
});

test('events below the level are not written, and the level can be changed', () => {
  const { logger, lines } = setup({ level: 'warn' });

  logger.log(event('thing.done', { count: 1 }));
  logger.setLevel('debug');
  logger.log(event('thing.done', { count: 2 }));

  expect(lines.map((line) => JSON.parse(line).count)).toEqual([2]);
});

test('on a terminal an event is one readable line, an error its code', () => {
  const { logger, lines } = setup({ pretty: true });

  logger.log(event('thing.failed', { error: reportOf(baseError('DEFECT')) }));

  expect(lines.join('')).toMatch(/thing\.failed.* a thing failed .*error=DEFECT/u);
  expect(lines).toHaveLength(1);
});

test('a name that is not in the catalogue is a programmer’s mistake', () => {
  expect(() => (event as (name: string, fields: object) => unknown)('no.such', {})).toThrow(TypeError);
});
