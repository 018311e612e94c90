import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { patienceMs, patient } from '../../test/support/patience.ts';
import { scriptedCommands } from '../../test/support/scripted-commands.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { commandContract } from './command.contract.ts';
import { followCommand, runCommand } from './command.ts';

const signal = new AbortController().signal;
const limits = { timeoutMs: patienceMs, outputBytesMax: 100_000 };

/** A script, and what to run it with. */
function setup(script: string) {
  const directory = temporaryDirectory();
  const file = join(directory, 'script.sh');
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { directory, argv: [file] as const };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie has ended; who has to reap it is not our affair.
    return !/^State:\s+Z/mu.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Of a script: writes a pid beside it, in a file that is never there without it. */
const tell = (pid: string): string => `cd "$(dirname "$0")" && echo ${pid} > new && mv new pid`;

/** Waits for the end of the process whose pid a script wrote. */
async function ended(pidFile: string): Promise<void> {
  const pid = Number(readFileSync(pidFile, 'utf8'));
  await vi.waitFor(() => expect(isRunning(pid)).toBe(false), patient);
}

async function exists(file: string): Promise<void> {
  while (!existsSync(file)) await timeout(10);
}

const shell = (script: string): readonly string[] => ['sh', '-c', script];

commandContract('runCommand', () => ({
  run: runCommand,
  talks: shell('echo out; echo said >&2; exit 3'),
  floods: shell('head -c 4097 /dev/zero'),
  lasts: ['sleep', '60'],
  dies: shell('kill -TERM $$'),
}));

commandContract('scriptedCommands', () => ({
  run: scriptedCommands({
    talks: () => ({ stdout: 'out\n', stderr: 'said\n', exitCode: 3 }),
    floods: () => ({ stdout: Buffer.alloc(4097) }),
    lasts: () => 'lasts',
    dies: () => ({ exitCode: 143, signalName: 'SIGTERM' }),
  }).run,
  talks: ['talks'],
  floods: ['floods'],
  lasts: ['lasts'],
  dies: ['dies'],
}));

describe('a command', () => {
  test('gives its output and exit code', async () => {
    const { argv } = setup('echo out; echo "to err" >&2; exit 3');

    const result = await runCommand(argv, limits, signal);

    expect(result.stdout.toString()).toBe('out\n');
    expect(result.stderr.revealText()).toBe('to err\n');
    expect(result.stderrBytes).toBe(7);
    expect(result.exitCode).toBe(3);
    expect(result.signalName).toBeUndefined();
  });

  test('gets its arguments as they are: there is no shell', async () => {
    const { argv } = setup('printf "%s|" "$@"');

    const { stdout } = await runCommand([...argv, '$(id)', 'a b', '*'], limits, signal);

    expect(stdout.toString()).toBe('$(id)|a b|*|');
  });

  test('sees only a scrubbed environment', async () => {
    const { argv } = setup('env');

    const { stdout } = await runCommand(argv, { ...limits, env: { HTTPS_PROXY: 'http://proxy' } }, signal);

    const names = stdout
      .toString()
      .split('\n')
      .map((line) => line.split('=')[0] ?? '')
      .filter((name) => !['', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name));
    expect(names.toSorted()).toEqual(['HOME', 'HTTPS_PROXY', 'LANG', 'PATH']);
  });

  test.each([
    'NOTIFY_SOCKET',
    'AWS_SESSION_TOKEN',
    'NODE_OPTIONS',
    'GATEHOUSE_SECRET_NAME',
    'PATH',
    'LISTEN_FDS',
  ])('is never given %s', async (variable) => {
    const running = runCommand(['true'], { ...limits, env: { [variable]: 'x' } }, signal);

    await expect(running).rejects.toThrow(TypeError);
  });

  test('by a bare name is found on the fixed path', async () => {
    const { exitCode } = await runCommand(['true'], limits, signal);

    expect(exitCode).toBe(0);
  });

  test.each([
    ['/nowhere/at/all'],
    ['gatehouse-no-such-command'],
    ['./relative'],
    ['/etc/passwd'],
    ['/etc/passwd/x'],
  ])('%s cannot be found', async (command) => {
    await expect(runCommand([command], limits, signal)).rejects.toMatchObject({ code: 'COMMAND_NOT_FOUND' });
  });

  test('reads what it is given, and may leave it unread', async () => {
    const stdin = Buffer.alloc(200_000, 'x');

    const reader = await runCommand(['wc', '-c'], { ...limits, stdin }, signal);
    const other = await runCommand(['true'], { ...limits, stdin }, signal);

    expect(reader.stdout.toString().trim()).toBe('200000');
    expect(other.exitCode).toBe(0);
  });

  test('has an empty input when it is given none', async () => {
    const { stdout } = await runCommand(['wc', '-c'], limits, signal);

    expect(stdout.toString().trim()).toBe('0');
  });

  test('that a signal ends says which', async () => {
    const { argv } = setup('kill -TERM $$');

    const { exitCode, signalName } = await runCommand(argv, limits, signal);

    expect(exitCode).toBe(143);
    expect(signalName).toBe('SIGTERM');
  });

  test('that hangs is killed with all it started', async () => {
    const { argv, directory } = setup(`trap "" TERM; sleep 60 & ${tell('$!')}; wait`);

    // Longer and longer, until it got so far as to start something in that time.
    for (let timeoutMs = 300; !existsSync(join(directory, 'pid')); timeoutMs *= 4) {
      const running = runCommand(argv, { ...limits, timeoutMs }, signal);
      await expect(running).rejects.toMatchObject({ code: 'COMMAND_TIMED_OUT', details: { timeoutMs } });
    }

    await ended(join(directory, 'pid'));
  });

  test.each([
    ['stdout', ''],
    ['stderr', '>&2'],
  ])('that floods %s is killed', async (stream, redirection) => {
    const { argv } = setup(`exec yes ${redirection}`);

    const running = runCommand(argv, limits, signal);

    await expect(running).rejects.toMatchObject({ code: 'COMMAND_OUTPUT_TOO_LARGE', details: { stream } });
  });

  test('may write just as much as it may', async () => {
    const { argv } = setup('head -c 100000 /dev/zero');

    const { stdout } = await runCommand(argv, limits, signal);

    expect(stdout).toHaveLength(100_000);
    await expect(runCommand(argv, { ...limits, outputBytesMax: 99_999 }, signal)).rejects.toMatchObject({
      code: 'COMMAND_OUTPUT_TOO_LARGE',
    });
  });

  test('keeps only the beginning of what it says', async () => {
    const { argv } = setup('head -c 50000 /dev/zero >&2');

    const { stderr, stderrBytes } = await runCommand(argv, limits, signal);

    expect(stderr).toHaveLength(16 * 1024);
    expect(stderrBytes).toBe(50_000);
  });

  test('is killed when the signal aborts, with that signal’s reason', async () => {
    const { argv, directory } = setup(`${tell('$$')}; exec sleep 60`);
    const stop = new AbortController();
    const reason = new Error('enough');

    const running = runCommand(argv, limits, stop.signal);
    const stopping = exists(join(directory, 'pid')).then(() => stop.abort(reason));

    await expect(running).rejects.toBe(reason);
    await stopping;
    await ended(join(directory, 'pid'));
  });

  test('leaves nothing behind when it ends, and does not wait for it', async () => {
    const { argv, directory } = setup(`sleep 60 & ${tell('$!')}; echo done`);

    const { stdout } = await runCommand(argv, limits, signal);

    expect(stdout.toString()).toBe('done\n');
    await ended(join(directory, 'pid'));
  });

  test('does not wait for a process that left its group and kept its output open', async () => {
    const { argv, directory } = setup(
      `pid="$(dirname "$0")/pid"
      setsid sh -c 'echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 600' - "$pid" &
      until [ -e "$pid" ]; do sleep 0.01; done
      echo done`,
    );

    const { stdout } = await runCommand(argv, limits, signal);

    expect(stdout.toString()).toBe('done\n');
    const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'));
    expect(isRunning(pid)).toBe(true);
    process.kill(pid);
  });
});

async function followed(script: string) {
  const said: Buffer[] = [];
  const output: Buffer[] = [];
  let failure: unknown;
  try {
    const chunks = followCommand(setup(script).argv, signal, (bytes) => said.push(bytes));
    for await (const bytes of chunks) output.push(bytes);
  } catch (error) {
    failure = error;
  }
  return { output: Buffer.concat(output).toString(), said: Buffer.concat(said).toString(), failure };
}

describe('a command that is followed', () => {
  test('gives what it writes, and tells what it says until it ends', async () => {
    const { output, said, failure } = await followed(
      'echo out; echo one >&2; head -c 300000 /dev/zero | tr "\\0" x >&2; echo two >&2',
    );

    expect(output).toBe('out\n');
    expect(said).toBe(`one\n${'x'.repeat(300_000)}two\n`);
    expect(failure).toBeUndefined();
  });

  test('fails with its exit code, after all that it said', async () => {
    const { said, failure } = await followed('echo why >&2; exit 3');

    expect(said).toBe('why\n');
    expect(failure).toMatchObject({ code: 'COMMAND_FAILED', details: { exitCode: 3 } });
  });

  test('ends though what it has started goes on to hold its standard error', async () => {
    const { said, failure } = await followed('sleep 600 >&- & echo why >&2; exit 3');

    expect(said).toBe('why\n');
    expect(failure).toMatchObject({ code: 'COMMAND_FAILED' });
  });
});
