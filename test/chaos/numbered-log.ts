import { appendFileSync, existsSync, renameSync } from 'node:fs';
import { setTimeout as timeout } from 'node:timers/promises';

export interface NumberedLogOptions {
  readonly path: string;
  readonly lines: number;
  readonly linesPerFile: number;
  readonly linesAtOnce: number;
  readonly everyMs: number;
}

/** A program that logs numbered lines and whose log is rotated by renaming: PATH.1 is the newest of the old ones. */
export interface NumberedLog {
  /** Lines written so far. */
  readonly written: number;
  readonly rotations: number;
  readonly done: Promise<void>;
}

export function numberedLog(options: NumberedLogOptions, signal: AbortSignal): NumberedLog {
  const { path, lines, linesPerFile, linesAtOnce, everyMs } = options;
  let written = 0;
  let rotations = 0;

  async function write(): Promise<void> {
    let inFile = 0;
    while (written < lines && !signal.aborted) {
      const count = Math.min(linesAtOnce, lines - written, linesPerFile - inFile);
      const first = written;
      const text = Array.from({ length: count }, (_line, index) => lineOf(first + index)).join('');
      appendFileSync(path, text);
      written += count;
      inFile += count;
      if (inFile === linesPerFile && written < lines) {
        rotate();
        inFile = 0;
      }
      await timeout(everyMs);
    }
  }

  function rotate(): void {
    rotations += 1;
    for (let age = rotations; age >= 1; age -= 1) {
      if (existsSync(`${path}.${age}`)) renameSync(`${path}.${age}`, `${path}.${age + 1}`);
    }
    renameSync(path, `${path}.1`);
  }

  return {
    get written() {
      return written;
    },
    get rotations() {
      return rotations;
    },
    done: write(),
  };
}

/** Of different lengths, so that a line that lost a part is seen. */
function textOf(number: number): string {
  return `${number} ${'.'.repeat(number % 150)}`;
}

function lineOf(number: number): string {
  return `${textOf(number)}\n`;
}

/** What became of numbered lines. */
export interface Account {
  /** Numbers that did not arrive. */
  readonly lost: number;
  /** Lines that arrived more than once, each time but the first. */
  readonly repeatedLines: number;
  /** Batches that brought a line again. */
  readonly repeatedBatches: number;
  /** Those of them that are not the same, byte for byte, as one before. */
  readonly changedBatches: number;
  /** Messages that are no line of the log. */
  readonly damaged: number;
  /** Lines whose first arrival came after that of a later line of the same file. */
  readonly outOfOrder: number;
  readonly repeatedInABatchMax: number;
}

export function accountOf(
  batches: readonly (readonly string[])[],
  { lines, linesPerFile }: Pick<NumberedLogOptions, 'lines' | 'linesPerFile'>,
): Account {
  const seen = new Uint8Array(lines);
  const whole = new Set<string>();
  let distinct = 0;
  const highest = new Map<number, number>();
  const account = { repeatedLines: 0, repeatedBatches: 0, changedBatches: 0, damaged: 0, outOfOrder: 0 };
  let repeatedInABatchMax = 0;
  for (const batch of batches) {
    let repeated = 0;
    for (const message of batch) {
      const number = Number.parseInt(message, 10);
      if (!(number >= 0 && number < lines) || message !== textOf(number)) {
        account.damaged += 1;
      } else if (seen[number] === 1) {
        repeated += 1;
      } else {
        seen[number] = 1;
        distinct += 1;
        const file = Math.floor(number / linesPerFile);
        const before = highest.get(file) ?? -1;
        if (number < before) account.outOfOrder += 1;
        highest.set(file, Math.max(before, number));
      }
    }
    const text = batch.join('\n');
    if (repeated > 0) {
      account.repeatedLines += repeated;
      account.repeatedBatches += 1;
      if (!whole.has(text)) account.changedBatches += 1;
      repeatedInABatchMax = Math.max(repeatedInABatchMax, repeated);
    }
    whole.add(text);
  }
  return { lost: lines - distinct, ...account, repeatedInABatchMax };
}
