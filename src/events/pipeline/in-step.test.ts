import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { inStep } from './in-step.ts';

function setup(bytes: number) {
  const clock = fakeClock();
  const spool = { counts: () => ({ bytes }) };
  const step = inStep(spool, clock);
  const waits = (): { readonly isOver: boolean } => {
    const wait = { isOver: false };
    const over = async (): Promise<void> => {
      await step.wait();
      wait.isOver = true;
    };
    void over();
    return wait;
  };
  return { clock, step, waits };
}

test('reading waits for nothing while what is ahead of the calls stays in memory', async () => {
  const { clock, step, waits } = setup(2.5 * 2 ** 20);

  const wait = waits();
  await clock.advance(0);

  expect(wait.isOver).toBe(true);
  expect(step.isNear).toBe(true);
});

test('reading that is far ahead waits until something has left, or a hundredth of a second', async () => {
  const { clock, step, waits } = setup(2.5 * 2 ** 20 + 1);

  expect(step.isNear).toBe(false);
  const [first, second] = [waits(), waits()];
  await clock.advance(9);
  expect([first.isOver, second.isOver]).toEqual([false, false]);
  step.left();
  await clock.advance(0);
  expect([first.isOver, second.isOver]).toEqual([true, true]);

  const slow = waits();
  await clock.advance(9);
  expect(slow.isOver).toBe(false);
  await clock.advance(1);
  expect(slow.isOver).toBe(true);
});
