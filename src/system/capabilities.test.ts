import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ambientOf, withoutCapabilities } from './capabilities.ts';

const path = '/usr/local/bin:/usr/bin:/bin';
const chown = 1n;
const runner = new URL('./command.ts', import.meta.url).href;

describe('a command of an agent', () => {
  it('without ambient capabilities is started as it is', () => {
    expect(withoutCapabilities({ file: 'no-such', args: ['-x'] }, path, 0n)).toEqual({
      file: 'no-such',
      args: ['-x'],
    });
  });

  it('with ambient capabilities is started by setpriv, which drops them', () => {
    expect(withoutCapabilities({ file: 'cat', args: ['--', 'x'] }, path, chown)).toEqual({
      file: 'setpriv',
      args: ['--ambient-caps=-all', '--', 'cat', '--', 'x'],
    });
  });

  it.each(['no-such-command', '/no/such/command'])('%s is not there, whoever would start it', (file) => {
    expect(() => withoutCapabilities({ file, args: [] }, path, chown)).toThrow(
      expect.objectContaining({ code: 'COMMAND_NOT_FOUND' }),
    );
  });

  it.skipIf(process.getuid?.() !== 0)('has none of the capabilities that the agent has', () => {
    const script = `
      import { readFileSync } from 'node:fs';
      const { runCommand } = await import('${runner}');
      const limits = { timeoutMs: 60_000, outputBytesMax: 9000 };
      const { stdout } = await runCommand(['cat', '/proc/self/status'], limits, new AbortController().signal);
      console.log(JSON.stringify([readFileSync('/proc/self/status', 'utf8'), stdout.toString()]));`;
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const capabilities = ['--inh-caps=+chown,+dac_read_search', '--ambient-caps=+chown,+dac_read_search'];
    const node = [process.execPath, '--input-type=module', '-e', script];

    const [own, child] = JSON.parse(
      execFileSync('setpriv', [...user, ...capabilities, ...node], { encoding: 'utf8' }),
    ) as [string, string];

    expect([effective(own), ambientOf(own)]).toEqual([5n, 5n]);
    expect([effective(child), ambientOf(child)]).toEqual([0n, 0n]);
  });
});

describe('ambient capabilities', () => {
  it('are read from the status of a process', () => {
    expect(ambientOf('Name:\tnode\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000005\n')).toBe(5n);
    expect(ambientOf('Name:\tnode\n')).toBe(0n);
  });
});

function effective(status: string): bigint {
  const [, mask = ''] = /^CapEff:\s*([0-9a-f]+)$/mu.exec(status) ?? [];
  return BigInt(`0x${mask}`);
}
