import { expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { seldomSaid } from './seldom-said.ts';

function setup() {
  const clock = fakeClock();
  const said: number[] = [];
  const each = seldomSaid(clock, (times) => said.push(times));
  const note = (times: number): void => {
    for (let time = 0; time < times; time += 1) each.note();
  };
  return { clock, said, note, end: () => each.end() };
}

test('the first is said at once, the others when a minute is over, though no more come', async () => {
  const { clock, said, note } = setup();

  note(1_000);
  expect(said).toEqual([1]);
  await clock.advance(60_000);
  expect(said).toEqual([1, 999]);
  await clock.advance(600_000);

  expect(said).toEqual([1, 999]);
  expect(clock.sleeping).toBe(0);
  note(2);
  expect(said).toEqual([1, 999, 1]);
});

test('and at the end, after which nothing waits', async () => {
  const { clock, said, note, end } = setup();
  note(3);

  end();
  await clock.advance(0);

  expect(said).toEqual([1, 2]);
  expect(clock.sleeping).toBe(0);
});
