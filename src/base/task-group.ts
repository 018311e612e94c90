/** A task of a group: it runs until it is done or `signal` aborts. */
export type Task = (signal: AbortSignal) => Promise<void>;

/**
 * Runs tasks together. The first that throws cancels the rest; all are waited for; that first error is thrown.
 * A task that ends because `signal` aborted ends the group quietly.
 */
export async function runTasks(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  let first: { error: unknown } | undefined;

  await Promise.all(
    tasks.map(async (task) => {
      try {
        await task(either);
      } catch (error) {
        if (either.aborted && error === either.reason) return;
        first ??= { error };
        failed.abort(error);
      }
    }),
  );
  if (first !== undefined) throw first.error;
}
