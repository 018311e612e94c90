import { parse, validateDetailed } from 'node-cron';
import type { Clock } from '../base/clock.ts';

/** Five fields of plain cron: numbers, names, `*`, lists, ranges and steps. */
const plain = /^[a-z\d*,/-]+(?: +[a-z\d*,/-]+){4}$/iu;
/** node-cron expands a range before it checks it, so no number may be long. */
const longNumber = /\d{3}/u;
const charactersMax = 100;

/**
 * What is wrong with a cron expression, or undefined when nothing is. The text never repeats the expression.
 *
 * Left out on purpose: seconds, nicknames and the tokens L, W and # (not everywhere the same), and a day of month
 * together with a day of week (cron(8) runs when either matches, node-cron when both do).
 */
export function cronProblem(expression: string): string | undefined {
  if (expression.length > charactersMax || !plain.test(expression) || longNumber.test(expression)) {
    return 'expected a cron expression of five fields: minute, hour, day of month, month, day of week';
  }
  const { valid, errors } = validateDetailed(expression);
  if (!valid) return `not a cron expression: the field ${errors[0]?.field ?? 'list'} is wrong`;
  const { dayOfMonth, dayOfWeek } = parse(expression);
  if (![...dayOfMonth, ...dayOfWeek].every(Number.isInteger)) return 'L, W and # are not supported here';
  if (dayOfMonth.length < 31 && dayOfWeek.length < 7) {
    return 'give a day of month or a day of week, not both: programs differ in what that means';
  }
  return undefined;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** 29 February comes after eight years at the latest (1896 to 1904, 2096 to 2104). */
const daysMax = 8 * 366 + 1;

/** The first run strictly after `after`, in UTC, of an expression that `cronProblem` finds nothing wrong with. */
export function nextRun(expression: string, after: Date): Date {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = parse(expression);
  const earliest = Math.floor(after.getTime() / minuteMs) * minuteMs + minuteMs;
  const firstDay = Math.floor(earliest / dayMs) * dayMs;
  const times = hour.flatMap((h) => minute.map((m) => (h * 60 + m) * minuteMs)).toSorted((a, b) => a - b);

  for (let day = firstDay; day < firstDay + daysMax * dayMs; day += dayMs) {
    const date = new Date(day);
    if (!month.includes(date.getUTCMonth() + 1)) continue;
    if (!dayOfMonth.includes(date.getUTCDate()) || !dayOfWeek.includes(date.getUTCDay())) continue;
    const time = times.find((candidate) => day + candidate >= earliest);
    if (time !== undefined) return new Date(day + time);
  }
  throw new RangeError('a cron expression that never runs was not refused');
}

export interface Jitter {
  /** Runs are put off by a random time in [0, jitterMaxMs), and never by more than half the way to the next one. */
  readonly jitterMaxMs: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** `nextRun`, put off a little so that a fleet does not call at the same moment. */
export function nextJitteredRun(expression: string, after: Date, jitter: Jitter): Date {
  const run = nextRun(expression, after);
  const gapMs = nextRun(expression, run).getTime() - run.getTime();
  const maxMs = Math.min(jitter.jitterMaxMs, gapMs / 2);
  return new Date(run.getTime() + Math.floor((jitter.random ?? Math.random)() * maxMs));
}

/** A clock that is set, and a machine that wakes from sleep, are noticed within this time. */
const sleepMsMax = minuteMs;

/**
 * Resolves when the next run of the expression is due; rejects with the signal's reason when it aborts first. The
 * expression is asked for each time the clock is looked at, so that a change applies within a minute.
 */
export async function sleepUntilNextRun(
  expression: () => string,
  jitter: Jitter,
  clock: Pick<Clock, 'now' | 'sleep'>,
  signal: AbortSignal,
): Promise<void> {
  let planned = expression();
  let due = nextJitteredRun(planned, clock.now(), jitter).getTime();
  for (;;) {
    if (expression() !== planned) {
      planned = expression();
      due = nextJitteredRun(planned, clock.now(), jitter).getTime();
    }
    const leftMs = due - clock.now().getTime();
    if (leftMs <= 0) return;
    await clock.sleep(Math.min(leftMs, sleepMsMax), signal);
  }
}
