import { defineConfig } from 'vitest/config';

const minuteMs = 60_000;

export default defineConfig({
  test: {
    reporters: ['default', './test/support/count-reporter.ts'],
    teardownTimeout: 10_000,
    projects: [
      {
        test: {
          name: 'unit',
          // Some make keys or hash passwords, beside as many others as there are cores.
          testTimeout: minuteMs / 2,
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
          testTimeout: minuteMs,
          hookTimeout: minuteMs,
          // They wait for other processes more than they compute.
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'peers',
          include: ['test/peers/**/*.test.ts'],
          globalSetup: ['test/support/built-agent.ts'],
          testTimeout: 2 * minuteMs,
          hookTimeout: 2 * minuteMs,
          // Peers are slow and large (moto: 310 MB): one file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          globalSetup: ['test/support/built-agent.ts'],
          testTimeout: 6 * minuteMs,
          hookTimeout: minuteMs,
          // Each file keeps a machine busy, and their figures are about time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          testTimeout: 3 * minuteMs,
          hookTimeout: 8 * minuteMs,
          // Each boots or builds a machine.
          fileParallelism: false,
        },
      },
    ],
  },
});
