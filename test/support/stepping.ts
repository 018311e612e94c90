import type { Ledger } from '../../src/keys/ledger.ts';
import type { SealedFiles } from '../../src/keys/reencryption.ts';

/**
 * The same files and the same ledger, with `step` called before each thing that re-encryption does to them, and within
 * and after each transaction: it may throw, or end the process.
 */
export function stepping(
  { files, ledger }: { readonly files: SealedFiles; readonly ledger: Ledger },
  step: (what: string) => void,
): { files: SealedFiles; ledger: Ledger } {
  return {
    files: {
      async sweep(path) {
        step('sweep');
        await files.sweep(path);
      },
      async open(path) {
        step('open');
        const file = await files.open(path);
        return {
          ...file,
          async stage(sealed) {
            step('stage');
            const staged = await file.stage(interrupted(sealed, step));
            return {
              commit() {
                step('commit');
                return staged.commit();
              },
              sync() {
                step('sync');
                staged.sync();
              },
              discard() {
                step('discard');
                staged.discard();
              },
            };
          },
        };
      },
    },
    ledger: {
      ...ledger,
      moved(commit) {
        step('transaction');
        ledger.moved(() => {
          const there = commit();
          step('in the transaction');
          return there;
        });
        step('after the transaction');
      },
      forget(paths) {
        step('forget');
        ledger.forget(paths);
      },
      finish() {
        step('finish');
        const isFinished = ledger.finish();
        step('after the end');
        return isFinished;
      },
    },
  };
}

/** A step before each piece that is written, so also with half a file there. */
async function* interrupted(
  pieces: AsyncIterable<Uint8Array>,
  step: (what: string) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    step('write');
    yield piece;
  }
}
