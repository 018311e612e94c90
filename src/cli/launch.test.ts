import { expect, test } from 'vitest';
import type { Invocation } from './command.ts';
import { launchOf, operatorLaunchOf } from './launch.ts';

/** A process around a command line: what its stderr is, what its environment says. */
function setup(isTerminal: boolean, env: Record<string, string> = {}) {
  const said: string[] = [];
  const stderr = { isTTY: isTerminal, write: (text: string) => said.push(text) };
  const invocation = { env, stderr, stdout: {}, stdin: {} } as unknown as Invocation;
  const args = { config: undefined, 'log-level': undefined, json: false };
  return { said, invocation, args };
}

test('logs are for people on a terminal, and for programs elsewhere', () => {
  const onTerminal = setup(true);
  const inPipe = setup(false);
  const uncoloured = setup(true, { NO_COLOR: '1' });
  const simple = setup(true, { TERM: 'dumb' });
  const empty = setup(true, { NO_COLOR: '' });

  expect(launchOf(onTerminal.args, onTerminal.invocation).logForm).toBe('coloured');
  expect(launchOf(inPipe.args, inPipe.invocation).logForm).toBe('json');
  expect(launchOf(uncoloured.args, uncoloured.invocation).logForm).toBe('plain');
  expect(launchOf(simple.args, simple.invocation).logForm).toBe('plain');
  expect(launchOf(empty.args, empty.invocation).logForm).toBe('coloured');
});

test('log lines go to stderr as they are', () => {
  const { said, invocation, args } = setup(false);

  launchOf(args, invocation).writeLog('{"event":"agent.ready"}\n');

  expect(said).toEqual(['{"event":"agent.ready"}\n']);
});

test('an operator sees no log below an error unless asked for', () => {
  const { invocation, args } = setup(true);

  expect(operatorLaunchOf(args, invocation).flags.logLevel).toBe('error');
  expect(operatorLaunchOf({ ...args, 'log-level': 'debug' }, invocation).flags.logLevel).toBe('debug');
});

test.each([
  [
    'on a terminal, in place of what shows the progress',
    true,
    false,
    ['\r\u001b[Kstill waiting for KMS (Decrypt)\n'],
  ],
  ['in a pipe', false, false, ['still waiting for KMS (Decrypt)\n']],
  ['not where a program reads', false, true, []],
])('an operator is told what is waited for: %s', (_where, isTerminal, json, expected) => {
  const { said, invocation, args } = setup(isTerminal);

  operatorLaunchOf({ ...args, json }, invocation).onLateCall?.({ service: 'KMS', operation: 'Decrypt' });

  expect(said).toEqual(expected);
});

test('the flags of a command join those of every command', () => {
  const { invocation, args } = setup(true);

  const { flags } = launchOf({ ...args, config: 'a.json' }, invocation, { secretName: 'prod/web' });

  expect(flags).toEqual({ config: 'a.json', logLevel: undefined, secretName: 'prod/web' });
});
