import { describe, expect, it } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import type { Notify } from '../../system/notify.ts';
import { supervision } from './supervision.ts';

const watchdogMs = 60_000;

/** An agent under a systemd that writes down what it is told, on a fake clock. */
function setup(notifies: Partial<Notify> = {}) {
  const clock = fakeClock();
  const told: string[] = [];
  const events: LogEvent[] = [];
  const stop = new AbortController();
  const tell = (what: string) => async (text?: string | number) => {
    told.push(text === undefined ? what : `${what} ${text}`);
  };
  const notify: Notify = {
    watchdogMs,
    isHeard: true,
    ready: tell('ready'),
    reloading: tell('reloading'),
    stopping: tell('stopping'),
    alive: tell('alive'),
    status: tell('status'),
    ...notifies,
  };
  const agent = {
    failing: [] as string[],
    isWedged: false,
    isSilent: false,
  };
  const supervised = supervision({
    notify,
    condition: () =>
      agent.isSilent
        ? new Promise(() => undefined)
        : Promise.resolve({
            state: agent.failing.length === 0 ? 'ready' : 'degraded',
            failing: agent.failing,
          }),
    isHealthy: () => !agent.isWedged,
    clock,
    log: (event) => events.push(event),
  });
  const watching = supervised.watch(stop.signal);
  watching.catch(() => undefined);
  return { clock, told, events, agent, supervised, stop, watching };
}

describe('a watched agent', () => {
  it('gives three signs of life in the time of the watchdog', async () => {
    const { clock, told } = setup();

    await clock.advance(watchdogMs);

    expect(told).toEqual(['status ready', 'alive', 'alive', 'alive']);
  });

  it.each([
    ['whose worker does not answer', { isSilent: true }, 'no answer'],
    ['that is wedged', { isWedged: true }, 'wedged'],
  ])('%s gives none, says so once, and gives them again when it is well', async (_fact, state, reason) => {
    const { clock, told, events, agent } = setup();
    Object.assign(agent, state);

    await clock.advance(3 * watchdogMs);
    const toldWhileUnwell = told.filter((what) => what === 'alive');
    Object.assign(agent, { isSilent: false, isWedged: false });
    await clock.advance(watchdogMs);

    expect(toldWhileUnwell).toEqual([]);
    expect(events.map(({ name, fields }) => [name, fields['reason']])).toEqual([
      ['watchdog.withheld', reason],
    ]);
    expect(told).toContain('alive');
  });

  it('says how many parts fail, never which', async () => {
    const { clock, told, agent } = setup();
    agent.failing = ['secret database-password', 'credentials'];

    await clock.advance(watchdogMs);

    expect(told[0]).toBe('status degraded: 2 failing, see gatehouse status');
    expect(told.join()).not.toContain('database');
  });

  it('stops watching when it is told to stop', async () => {
    const { clock, told, stop, watching } = setup();
    const reason = new Error('stop');

    stop.abort(reason);
    await clock.advance(watchdogMs);

    await expect(watching).rejects.toBe(reason);
    expect(told).toEqual([]);
  });
});

describe('a reload', () => {
  it('is reloading, then ready', async () => {
    const { supervised, told } = setup();

    await supervised.reload(async () => void told.push('work'));

    expect(told).toEqual(['reloading', 'work', 'ready ready']);
  });

  it('that fails leaves the agent ready', async () => {
    const { supervised, told } = setup();

    await expect(supervised.reload(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(told).toEqual(['reloading', 'ready ready']);
  });
});

describe('an agent that nobody supervises', () => {
  it('tells nobody and does its work', async () => {
    const { supervised, told, clock, watching } = setup({ isHeard: false, watchdogMs: undefined });

    await supervised.reload(async () => void told.push('work'));
    await clock.advance(10 * watchdogMs);

    await watching;
    expect(told).toEqual(['work']);
  });
});
