import { describe, expect, test } from 'vitest';
import { agentError } from '../agent/errors.ts';
import { configError } from '../config/errors.ts';
import { failureText } from './failure.ts';

describe('the last words of a command', () => {
  test('are the fact with its place, and what to do', () => {
    const error = agentError('INPUT_MISSING', { file: '/tmp/a', lines: ['1', '2'], absent: undefined });

    expect(failureText(error, false)).toBe(
      'error: the input file cannot be read: file /tmp/a; lines 1, 2 (INPUT_MISSING)\n' +
        'hint: Name a file that exists and that you may read, or - for standard input.\n',
    );
  });

  test('give a problem as it is, without a name', () => {
    expect(failureText(agentError('USAGE', { problem: 'Name a command.' }), false)).toMatch(
      /^error: the command line is not one this program knows: Name a command\. \(USAGE\)\n/u,
    );
  });

  test('put each problem on a line of its own', () => {
    const problems = [
      { path: 'region', message: 'expected a string', source: 'file a.json' },
      { path: '', message: 'expected an object' },
    ];

    const lines = failureText(configError('CONFIG_INVALID', { problems }), false).split('\n');

    expect(lines.slice(0, 3)).toEqual([
      'error: the bootstrap config is not valid (CONFIG_INVALID)',
      '  region: expected a string (file a.json)',
      '  expected an object',
    ]);
  });

  test('name causes and never repeat their messages', () => {
    const cause = Object.assign(new Error('with hunter2 in it', { cause: new TypeError('hunter2') }), {
      code: 'ENOENT',
    });
    const error = agentError('INPUT_MISSING', { file: 'a' }, cause);

    const said = failureText(error, false) + failureText(error, true);

    expect(said).toContain('file a; cause ENOENT < TypeError (INPUT_MISSING)');
    expect(said).not.toContain('hunter2');
  });

  test('of a defect say where it was, without its message', () => {
    const said = failureText(new RangeError('hunter2'), false);

    expect(said).toMatch(/^error: .*: cause RangeError \(DEFECT\)\n {2}at .*failure\.test\.ts:\d+:\d+/u);
    expect(said).not.toContain('hunter2');
  });

  test('are one JSON object when programs listen', () => {
    const said = failureText(agentError('USAGE', { problem: 'Unknown command: frob' }), true);

    expect(said.endsWith('}\n')).toBe(true);
    expect(JSON.parse(said)).toMatchObject({
      error: { code: 'USAGE', retry: false, details: { problem: 'Unknown command: frob' } },
    });
  });
});
