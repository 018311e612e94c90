import { defineConfig } from 'vitest/config';
import { patienceMs, testMsMax } from './test/support/patience.ts';

const minuteMs = 60_000;
/** A test ends after what it waits for: who waits in vain says for what. */
const timeouts = {
  testTimeout: testMsMax,
  hookTimeout: testMsMax,
  expect: { poll: { timeout: patienceMs } },
};

export default defineConfig({
  test: {
    reporters: ['default', './test/support/count-reporter.ts'],
    teardownTimeout: 10_000,
    projects: [
      {
        test: {
          name: 'unit',
          ...timeouts,
          include: [
            'src/**/*.test.ts',
            'sandbox/**/*.test.ts',
            'scripts/**/*.test.ts',
            'test/contract/**/*.test.ts',
            'test/support/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/bench/**/*.test.ts'],
          globalSetup: ['test/support/built-agent.ts'],
          ...timeouts,
          // They wait for other processes more than they compute.
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'peers',
          include: ['test/peers/**/*.test.ts'],
          globalSetup: ['test/support/built-agent.ts'],
          ...timeouts,
          // Peers are slow and large (moto: 310 MB): one file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          globalSetup: ['test/support/built-agent.ts'],
          ...timeouts,
          testTimeout: 15 * minuteMs,
          // Each file keeps a machine busy, and their figures are about time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          ...timeouts,
          // A package and an image are built, and a system is booted.
          hookTimeout: 15 * minuteMs,
          // Each boots or builds a machine.
          fileParallelism: false,
        },
      },
    ],
  },
});
