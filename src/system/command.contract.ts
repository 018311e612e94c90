import { describe, expect, test } from 'vitest';
import { patienceMs } from '../../test/support/patience.ts';
import type { CommandLimits, RunCommand } from './command.ts';

const never = new AbortController().signal;
const limits: CommandLimits = { timeoutMs: patienceMs, outputBytesMax: 4096 };

/** A runner, and what it is to be given; each command does what its name says. */
export interface CommandMaking {
  readonly run: RunCommand;
  /** Writes `out` and says `said`, a line each, and ends with 3. */
  readonly talks: readonly string[];
  /** Writes a byte more than 4096. */
  readonly floods: readonly string[];
  /** Does not end by itself. */
  readonly lasts: readonly string[];
  /** Is ended by SIGTERM. */
  readonly dies: readonly string[];
}

/** What whoever runs commands must do. */
export function commandContract(name: string, make: () => CommandMaking): void {
  describe(`${name} as a runner of commands`, () => {
    test('gives output and exit code; one that is not 0 is a result', async () => {
      const { run, talks } = make();

      const { stdout, stderr, stderrBytes, exitCode, signalName } = await run(talks, limits, never);

      expect(stdout.toString()).toBe('out\n');
      expect(String(stderr)).toBe('[secret]');
      expect(stderr.revealText()).toBe('said\n');
      expect({ stderrBytes, exitCode, signalName }).toEqual({ stderrBytes: 5, exitCode: 3 });
    });

    test('says which signal ended a command, as a shell does', async () => {
      const { run, dies } = make();

      expect(await run(dies, limits, never)).toMatchObject({ exitCode: 143, signalName: 'SIGTERM' });
    });

    test('refuses what is not there', async () => {
      const { run } = make();

      await expect(run(['gatehouse-no-such-command'], limits, never)).rejects.toMatchObject({
        code: 'COMMAND_NOT_FOUND',
      });
    });

    test('ends a command that writes more than it may', async () => {
      const { run, floods } = make();

      await expect(run(floods, limits, never)).rejects.toMatchObject({ code: 'COMMAND_OUTPUT_TOO_LARGE' });
    });

    test('ends a command that takes too long', async () => {
      const { run, lasts } = make();

      await expect(run(lasts, { ...limits, timeoutMs: 50 }, never)).rejects.toMatchObject({
        code: 'COMMAND_TIMED_OUT',
      });
    });

    test("rejects with the signal's reason, before and while a command runs", async () => {
      const { run, lasts } = make();
      const stop = new AbortController();
      const reason = new Error('enough');

      const running = run(lasts, limits, stop.signal);
      stop.abort(reason);

      await expect(running).rejects.toBe(reason);
      await expect(run(lasts, limits, stop.signal)).rejects.toBe(reason);
    });

    test.each(['NOTIFY_SOCKET', 'AWS_SESSION_TOKEN', 'PATH'])(
      'never gives a command %s',
      async (variable) => {
        const { run, talks } = make();

        await expect(run(talks, { ...limits, env: { [variable]: 'x' } }, never)).rejects.toThrow(TypeError);
      },
    );
  });
}
