import { expect, test } from 'vitest';
import { baseError, reportOf } from './errors.ts';
import { logEventsOf } from './log-events.ts';
import { createLogger, type LogForm } from './logger.ts';

const event = logEventsOf({
  'thing.done': { level: 'info', summary: 'a thing was done', fields: { count: 'things' } },
  'thing.failed': {
    level: 'error',
    summary: 'a thing failed',
    fields: { error: 'what failed' },
    audit: 'failure',
  },
});

function setup(options: { form?: LogForm; level?: 'debug' | 'warn' } = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    level: options.level ?? 'debug',
    form: options.form ?? 'json',
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
  const { logger, lines } = setup({ form: 'coloured' });

  logger.log(event('thing.failed', { error: reportOf(baseError('DEFECT')) }));

  expect(lines.join('')).toMatch(/thing\.failed.* a thing failed .*error=DEFECT/u);
  expect(lines).toHaveLength(1);
});

test('where colours are not wanted it is one too, with its level as a word and no escape', () => {
  const { logger, lines } = setup({ form: 'plain' });

  logger.log(event('thing.done', { count: 3 }));

  expect(lines).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} info {2}thing\.done a thing was done count=3\n$/u),
  ]);
});

test('a name that is not in the catalogue is a programmer’s mistake', () => {
  expect(() => (event as (name: string, fields: object) => unknown)('no.such', {})).toThrow(TypeError);
});
