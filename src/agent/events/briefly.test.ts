import { expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { briefly } from './briefly.ts';

function setup() {
  const clock = fakeClock();
  const answers: PromiseWithResolvers<number>[] = [];
  const asked = briefly(
    () => {
      const answer = Promise.withResolvers<number>();
      answers.push(answer);
      return answer.promise;
    },
    1_000,
    clock,
  );
  return { clock, answers, asked };
}

test('one answer serves all that ask within its time, and those that wait for it', async () => {
  const { clock, answers, asked } = setup();

  const both = [asked.get(), asked.get()];
  answers[0]?.resolve(7);
  expect(await Promise.all(both)).toEqual([7, 7]);
  await clock.advance(999);
  expect(await asked.get()).toBe(7);
  await clock.advance(1);
  void asked.get();

  expect(answers).toHaveLength(2);
});

test('a failure is told and not kept', async () => {
  const { answers, asked } = setup();

  const failed = asked.get();
  answers[0]?.reject(new Error('away'));
  await expect(failed).rejects.toThrow('away');
  void asked.get();

  expect(answers).toHaveLength(2);
});

test('what is forgotten is asked anew, and its late failure does no harm', async () => {
  const { answers, asked } = setup();

  const first = asked.get();
  asked.forget();
  const second = asked.get();
  answers[0]?.reject(new Error('late'));
  answers[1]?.resolve(8);

  await expect(first).rejects.toThrow('late');
  expect(await second).toBe(8);
  expect(await asked.get()).toBe(8);
  expect(answers).toHaveLength(2);
});
