import { agentError } from '../agent/errors.ts';
import type { Look } from '../agent/monitoring/top.ts';
import { reportOf } from '../base/errors.ts';
import { StopRequested, stopSignal } from '../system/signals.ts';
import { hasColour } from './colour.ts';
import { command, type Invocation } from './command.ts';
import { launchOf } from './launch.ts';
import type { Sight } from './top-screen.ts';

/** Each look is work for the agent. */
const everySecondsMin = 0.2;
const everySecondsMax = 3600;

/** `gatehouse top`: a live view of the running agent. */
export const topCommand = command({
  usage: 'top',
  summary: 'Watch the running agent; in a pipe, or with --json, one snapshot',
  options: {
    interval: {
      type: 'number',
      default: 2,
      describe: 'Seconds between two looks; rates are over that time',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { look, ratesBetween } = await import('../agent/monitoring/top.ts');
    const { plainText, topLines } = await import('./top-screen.ts');
    const launch = launchOf(args, invocation);
    const { clock } = launch;
    const { stdout, env } = invocation;
    const everyMs = everyMsOf(args.interval);
    const stop = stopSignal();
    // Also where it is live: that there is no agent is said before the screen is taken.
    const first = await look(launch, stop);

    if (args.json || !isLive(invocation)) {
      await clock.sleep(everyMs, stop);
      const second = await look(launch, stop);
      const sight = { look: second, rates: ratesBetween(first, second) };
      const { time, status } = second;
      stdout.write(
        args.json ? `${JSON.stringify({ time, rates: sight.rates, status })}\n` : plainText(topLines(sight)),
      );
      return 0;
    }

    const { openScreen } = await import('./screen.ts');
    const quit = new AbortController();
    const ended = AbortSignal.any([stop, quit.signal]);
    const screen = openScreen({
      terminal: invocation,
      hasColour: hasColour(env),
      onQuit: () => quit.abort(),
    });
    let last: Look = first;
    let sight: Sight = { look: first };
    try {
      while (!ended.aborted) {
        screen.draw(topLines(sight, 'q quits'));
        await clock.sleep(everyMs, ended);
        sight = await look(launch, ended).then(
          (now): Sight => ({ look: now, rates: ratesBetween(last, now) }),
          (error: unknown): Sight => ({ ...sight, silent: reportOf(error).code }),
        );
        last = sight.look;
      }
      return 0;
    } catch (error) {
      if (quit.signal.aborted || error instanceof StopRequested) return 0;
      throw error;
    } finally {
      screen.close();
    }
  },
});

function everyMsOf(seconds: number): number {
  if (seconds >= everySecondsMin && seconds <= everySecondsMax) return seconds * 1000;
  const problem = `--interval must be from ${everySecondsMin} to ${everySecondsMax} seconds`;
  throw agentError('USAGE', { problem });
}

/** A terminal that can be drawn on, with somebody at its keys. */
function isLive({ stdin, stdout, env }: Invocation): boolean {
  return stdin.isTTY && stdout.isTTY && env['TERM'] !== undefined && env['TERM'] !== 'dumb';
}
