import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { Clock } from './clock.ts';

/** What every Clock keeps. `pass` lets `ms` milliseconds go by on it. */
export function clockContract(
  name: string,
  setup: () => { clock: Clock; pass: (ms: number) => Promise<void> },
): void {
  describe(`the clock ${name}`, () => {
    test('a sleep ends after its time', async () => {
      const { clock, pass } = setup();
      const before = clock.monotonic();

      const slept = clock.sleep(20, new AbortController().signal);
      await pass(30);
      await slept;

      // Timers may fire a fraction of a millisecond early.
      expect(clock.monotonic() - before).toBeGreaterThanOrEqual(19);
    });

    test('a sleep that is aborted rejects with the signal’s reason, also when it was aborted before', async () => {
      const { clock } = setup();
      const reason = new Error('enough');
      const controller = new AbortController();

      const slept = clock.sleep(60_000, controller.signal);
      controller.abort(reason);

      await expect(slept).rejects.toBe(reason);
      await expect(clock.sleep(0, controller.signal)).rejects.toBe(reason);
    });

    test('work that takes too long is told so, and its caller gets DEADLINE_EXCEEDED', async () => {
      const { clock, pass } = setup();
      let told: unknown;

      const work = clock.deadline(10, 'slow work', new AbortController().signal, (signal) => {
        signal.addEventListener('abort', () => {
          told = signal.reason;
        });
        return new Promise<never>(() => undefined);
      });
      const [failed] = await Promise.all([work.catch((error: unknown) => error), pass(20)]);

      expect(failed).toMatchObject({ code: 'DEADLINE_EXCEEDED', details: { what: 'slow work' } });
      expect(told).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    });

    test('work that is done in time gives its result, and its failure as it is', async () => {
      const { clock } = setup();
      const { signal } = new AbortController();
      const failure = new Error('by itself');

      await expect(clock.deadline(10_000, 'quick', signal, async () => 42)).resolves.toBe(42);
      await expect(clock.deadline(10_000, 'bad', signal, () => Promise.reject(failure))).rejects.toBe(
        failure,
      );
    });

    test('work that is done leaves nobody listening to its signals', async () => {
      const { clock } = setup();
      const { signal } = new AbortController();
      let within: AbortSignal | undefined;

      await clock.deadline(10_000, 'quick', signal, async (given) => {
        within = given;
      });

      expect(within === undefined ? [] : getEventListeners(within, 'abort')).toEqual([]);
    });

    test('an abort from outside reaches the work and its caller', async () => {
      const { clock } = setup();
      const controller = new AbortController();
      const reason = new Error('stop');

      const work = clock.deadline(
        10_000,
        'long',
        controller.signal,
        () => new Promise<never>(() => undefined),
      );
      controller.abort(reason);

      await expect(work).rejects.toBe(reason);
    });
  });
}
