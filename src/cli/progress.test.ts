import { describe, expect, it } from 'vitest';
import { progressOf } from './progress.ts';

function setup({ isTTY = false, isJson = false } = {}) {
  let nowMs = 0;
  const written: string[] = [];
  const stderr = { isTTY, write: (text: string) => written.push(text) > 0 };
  const shown = progressOf({ monotonic: () => nowMs }, stderr, isJson);
  const at = (seconds: number, done: number, phase: 'rewriting' | 'checking' = 'rewriting') => {
    nowMs = seconds * 1000;
    shown.progress({ phase, done, of: 10_000 });
  };
  return { at, end: () => shown.end(), hasBegun: () => shown.hasBegun(), written };
}

describe('progress', () => {
  it('says whether there was any, also where nothing of it is shown', () => {
    const { at, hasBegun, written } = setup({ isJson: true });

    const before = hasBegun();
    at(0, 0);

    expect([before, hasBegun(), written]).toEqual([false, true, []]);
  });

  it('is a line every five seconds where nobody looks, with count, rate and time left', () => {
    const { at, end, written } = setup();

    for (const [second, done] of [
      [0, 0],
      [1, 100],
      [5, 500],
      [6, 600],
      [70, 9900],
    ] as const) {
      at(second, done);
    }
    at(71, 5, 'checking');
    end();

    expect(written).toEqual([
      'rewriting 0 of 10000 files\n',
      'rewriting 500 of 10000 files, 100 a second, 1 min 35 s left\n',
      'rewriting 9900 of 10000 files, 141 a second, 1 s left\n',
      'checking 5 of 10000 files\n',
    ]);
  });

  it('is one line that changes on a terminal, and ends', () => {
    const { at, end, written } = setup({ isTTY: true });

    at(0, 0);
    at(0.05, 1);
    at(0.2, 2);
    end();
    end();

    expect(written).toEqual([
      '\r\u001b[Krewriting 0 of 10000 files',
      '\r\u001b[Krewriting 2 of 10000 files, 10 a second, 16 min 40 s left',
      '\n',
    ]);
  });

  it('counts from where an interrupted run goes on', () => {
    const { at, written } = setup();

    at(0, 9000);
    at(10, 9100);

    expect(written.at(-1)).toBe('rewriting 9100 of 10000 files, 10 a second, 1 min 30 s left\n');
  });

  it('is nothing beside JSON', () => {
    const { at, end, written } = setup({ isJson: true });

    at(0, 0);
    at(10, 100);
    end();

    expect(written).toEqual([]);
  });
});
