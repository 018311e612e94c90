import { expect, test } from 'vitest';
import type { LogEvent, LogLevel } from '../../base/log-events.ts';
import { createLogger } from '../../base/logger.ts';
import { logLevelSwitch } from './log-level.ts';

function setup(configured: LogLevel) {
  const lines: string[] = [];
  const logged: LogEvent[] = [];
  const logger = createLogger({ level: configured, form: 'json', write: (line) => lines.push(line) });
  const log = (event: LogEvent): void => {
    logged.push(event);
    logger.log(event);
  };
  const level = logLevelSwitch({ logger, configured, log });
  const changes = () => lines.map((line) => JSON.parse(line) as unknown);
  return { level, changes, logged };
}

test('the level is what the config says until it is changed', () => {
  const { level } = setup('warn');

  expect(level.state()).toEqual({ level: 'warn', configured: 'warn' });
  level.set('debug', 'control socket');
  expect(level.state()).toEqual({ level: 'debug', configured: 'warn' });
});

test.each<[LogLevel, LogLevel]>([
  ['info', 'debug'],
  ['debug', 'error'],
  ['error', 'debug'],
  ['error', 'warn'],
  ['warn', 'error'],
  ['info', 'error'],
])('a change from %s to %s is written and audited', (from, to) => {
  const { level, logged, changes } = setup(from);

  level.set(to, 'control socket');

  expect(changes()).toHaveLength(1);
  expect(logged).toMatchObject([
    {
      name: 'agent.log-level-changed',
      audit: 'success',
      fields: { before: from, logLevel: to, by: 'control socket' },
    },
  ]);
});

test('no change is none', () => {
  const { level, logged } = setup('info');

  level.set('info', 'control socket');

  expect(logged).toEqual([]);
});

test('the signal turns debug on, and off again to what it was', () => {
  const { level } = setup('info');
  level.set('error', 'control socket');

  level.toggleDebug('signal');
  expect(level.state().level).toBe('debug');
  level.toggleDebug('signal');

  expect(level.state().level).toBe('error');
});

test('where debug is configured, the signal turns it off, and on again', () => {
  const { level } = setup('debug');

  level.toggleDebug('signal');
  expect(level.state().level).toBe('info');
  level.toggleDebug('signal');

  expect(level.state().level).toBe('debug');
});
