import { describe, expect, test } from 'vitest';
import { type CountedModule, countLine, countOf } from './count-reporter.ts';

describe('the count of a run', () => {
  test('tells passed, failed and skipped apart', () => {
    const count = countOf([moduleOf('passed', 'failed'), moduleOf('passed', 'skipped')], 0);

    expect(countLine(count)).toBe('2 passed, 1 failed, 1 skipped');
  });

  test('a file that could not be loaded is a failure', () => {
    const broken = { ...moduleOf(), errors: () => [{ message: 'no such module' }] };

    expect(countOf([broken], 0).failed).toBe(1);
  });

  test('a suite whose hook broke is a failure, though its tests count as skipped', () => {
    const { children } = moduleOf('skipped');
    const suites = [{ errors: () => ['beforeAll'] }];
    const broken = { errors: () => [], children: { ...children, allSuites: () => suites } };

    const count = countOf([broken], 0);

    expect(count).toEqual({ passed: 0, failed: 1, skipped: 1 });
  });

  test('an error outside every test is a failure', () => {
    expect(countOf([moduleOf('passed')], 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  test('a test that never ran is a failure', () => {
    expect(countOf([moduleOf('pending')], 0).failed).toBe(1);
  });
});

function moduleOf(...states: string[]): CountedModule {
  return {
    errors: () => [],
    children: {
      allTests: () => states.map((state) => ({ result: () => ({ state }) })),
      allSuites: () => [],
    },
  };
}
