import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

/** What a run came to. What broke outside a test, a file's loading or a suite's hook, counts as a failure. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The line that CI reads. */
export function countLine({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** The part of vitest's test module that counting needs. */
export interface CountedModule {
  errors(): readonly unknown[];
  readonly children: {
    allTests(): Iterable<{ result(): { readonly state: string } }>;
    allSuites(): Iterable<{ errors(): readonly unknown[] }>;
  };
}

/** Counts a finished run; a test that never ran counts as failed, because nobody saw it pass. */
export function countOf(modules: readonly CountedModule[], errorsOutside: number): Count {
  const states = modules.flatMap((module) =>
    [...module.children.allTests()].map((test) => test.result().state),
  );
  const number = (state: string): number => states.filter((other) => other === state).length;
  const broken = modules
    .flatMap((module) => [module, ...module.children.allSuites()])
    .filter((part) => part.errors().length > 0);
  return {
    passed: number('passed'),
    failed: number('failed') + number('pending') + broken.length + errorsOutside,
    skipped: number('skipped'),
  };
}

/** Ends a run with one line alone: `123 passed, 0 failed, 2 skipped`. */
export default class CountReporter implements Reporter {
  #count: Count = { passed: 0, failed: 0, skipped: 0 };

  onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
    _reason: TestRunEndReason,
  ): void {
    this.#count = countOf(modules, errors.length);
    // The default reporter still writes its summary in this phase; ours is to be the last line.
    process.once('exit', () => process.stdout.write(`${countLine(this.#count)}\n`));
  }
}
