import { expect, test } from 'vitest';
import { runTasks } from './task-group.ts';

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

async function failing(): Promise<void> {
  throw new Error('first');
}

async function failsToStop(signal: AbortSignal): Promise<void> {
  await untilAborted(signal).catch(() => undefined);
  throw new Error('could not close');
}

test('the first error cancels the other tasks, waits for them, and is thrown', async () => {
  const ended: string[] = [];
  const cleaning = async (signal: AbortSignal): Promise<void> => {
    await untilAborted(signal).catch(() => undefined);
    ended.push('cleaned up');
    throw new Error('second');
  };

  const group = runTasks([cleaning, failing], new AbortController().signal);

  await expect(group).rejects.toThrow('first');
  expect(ended).toEqual(['cleaned up']);
});

test('an abort from outside ends the group quietly', async () => {
  const outside = new AbortController();

  const group = runTasks([untilAborted, untilAborted], outside.signal);
  outside.abort(new Error('stop'));

  await expect(group).resolves.toBeUndefined();
});

test('a task that fails while it is being stopped is not hidden', async () => {
  const outside = new AbortController();

  const group = runTasks([failsToStop], outside.signal);
  outside.abort(new Error('stop'));

  await expect(group).rejects.toThrow('could not close');
});

test('a group whose tasks all end by themselves ends', async () => {
  await expect(runTasks([async () => undefined], new AbortController().signal)).resolves.toBeUndefined();
});
