import { describe, expect, test } from 'vitest';
import { withBuiltWorkers } from './build.ts';

describe('a worker in the bundle', () => {
  test('is named as its entry in dist', () => {
    const source = "new Worker(new URL('./events-worker.ts', import.meta.url), { name: 'events' })";

    const built = withBuiltWorkers(source, 'src/agent/run.ts');

    expect(built).toBe("new Worker(new URL('./events-worker.mjs', import.meta.url), { name: 'events' })");
  });

  test('is found from another folder, however the call is laid out', () => {
    const source = "new URL(\n  '../agent/events-worker.ts',\n  import.meta.url,\n)";

    expect(withBuiltWorkers(source, 'src/cli/run.ts')).toBe(
      "new URL('./events-worker.mjs', import.meta.url)",
    );
  });

  test('that is no entry of the build breaks the build', () => {
    const source = "new URL('./other-worker.ts', import.meta.url)";

    expect(() => withBuiltWorkers(source, 'src/agent/run.ts')).toThrow('src/agent/other-worker.ts');
  });

  test('leaves other URLs alone', () => {
    const source = "new URL('https://example.com/a.ts'); new URL('./page.html', import.meta.url)";

    expect(withBuiltWorkers(source, 'src/agent/run.ts')).toBe(source);
  });
});
