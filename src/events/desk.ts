import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log-events.ts';
import { partOf, type SingleEvent, type StreamName } from './batch.ts';
import { eventsError } from './errors.ts';
import { eventsEvent } from './log-events.ts';
import type { Pipeline } from './pipeline.ts';
import type { DeadLetter, Spool } from './spool.ts';

/** What an operator may ask of the events, through the control socket. Plain data: it crosses from thread to thread. */
export type DeskQuestion =
  | { readonly what: 'letters'; readonly after: number }
  | { readonly what: 'letter'; readonly id: number }
  | { readonly what: 'retry'; readonly ids: readonly number[] | 'all'; readonly isNow: boolean }
  | { readonly what: 'drop'; readonly ids: readonly number[] | 'all' }
  | { readonly what: 'test'; readonly source: string | undefined };

/** A page of the dead letter, oldest first. */
export interface LettersPage {
  readonly letters: readonly DeadLetter[];
  /** How many there are in all, and what they take. */
  readonly total: number;
  readonly bytes: number;
}

export interface LetterShown extends DeadLetter, SingleEvent {}

/** What was done to letters. */
export interface LettersDone {
  readonly ids: readonly number[];
}

/** An event that was sent to see whether it arrives. */
export interface TestSent extends StreamName {
  readonly message: string;
  /** From its making until CloudWatch Logs had taken it. */
  readonly tookMs: number;
}

export interface DeskOptions {
  readonly spool: Spool;
  readonly pipeline: Pick<Pipeline, 'put' | 'putAndWait'>;
  /** Where the events of each source go. */
  readonly streams: ReadonlyMap<string, StreamName>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Letters of one page: as much as fits one answer. */
export const lettersPageMax = 1000;
/** What the test event may take: a batch waits for company a quarter of a second, and a call may be tried again. */
const testMsMax = 20_000;

/** Answers an operator: the dead letter is read, sent again and dropped here, and nowhere else. */
export function desk({ spool, pipeline, streams, clock, log }: DeskOptions) {
  const { signal } = new AbortController();

  function letters(after: number): LettersPage {
    const { deadLetters: total, deadLetterBytes: bytes } = spool.counts();
    return { letters: spool.deadLetters(lettersPageMax, after), total, bytes };
  }

  /** @throws EVENTS_LETTER_MISSING, EVENTS_SPOOL_… */
  async function letter(id: number): Promise<LetterShown> {
    const [found] = spool.deadLetters(1, id - 1);
    const event = found?.id === id ? await spool.deadLetter(id) : undefined;
    if (found === undefined || event === undefined) throw eventsError('EVENTS_LETTER_MISSING', { id });
    return { ...found, ...event };
  }

  function idsOf(ids: readonly number[] | 'all'): readonly number[] {
    return ids === 'all' ? spool.deadLetters(Infinity).map(({ id }) => id) : ids;
  }

  /** A letter is dropped once its event is in the spool: killed in between, it is sent twice rather than never. */
  async function retry(ids: readonly number[] | 'all', isNow: boolean): Promise<LettersDone> {
    const done: number[] = [];
    for (const id of idsOf(ids)) {
      const { timestamp, message, ...of } = await letter(id);
      const event = { timestamp: isNow ? clock.now().getTime() : timestamp, message };
      await pipeline.put(partOf(of, [event]), signal);
      await spool.dropDeadLetter(id);
      done.push(id);
    }
    log(eventsEvent('events.dead-letter-retried', { events: done.length }));
    return { ids: done };
  }

  async function drop(ids: readonly number[] | 'all'): Promise<LettersDone> {
    const done: number[] = [];
    for (const id of idsOf(ids)) {
      if (!(await spool.dropDeadLetter(id))) throw eventsError('EVENTS_LETTER_MISSING', { id });
      done.push(id);
    }
    log(eventsEvent('events.dead-letter-dropped', { events: done.length }));
    return { ids: done };
  }

  /** @throws EVENTS_SOURCE_UNKNOWN, EVENTS_TEST_NOT_TAKEN, EVENTS_TEST_REFUSED */
  async function test(source: string | undefined): Promise<TestSent> {
    const [first] = streams.values();
    const stream = source === undefined ? first : streams.get(source);
    if (stream === undefined)
      throw eventsError('EVENTS_SOURCE_UNKNOWN', { source, sources: [...streams.keys()] });
    const startedMs = clock.monotonic();
    const message = `gatehouse events test ${randomUUID()}`;
    const batch = partOf({ stream }, [{ timestamp: clock.now().getTime(), message }]);
    const [refusal] = await pipeline.putAndWait(batch, testMsMax);
    if (refusal !== undefined)
      throw eventsError('EVENTS_TEST_REFUSED', { ...stream, reason: refusal.reason });
    return { ...stream, message, tookMs: Math.round(clock.monotonic() - startedMs) };
  }

  return async (question: DeskQuestion): Promise<unknown> => {
    if (question.what === 'letters') return letters(question.after);
    if (question.what === 'retry') return retry(question.ids, question.isNow);
    if (question.what === 'drop') return drop(question.ids);
    if (question.what === 'test') return test(question.source);
    const shown = await letter(question.id);
    log(eventsEvent('events.dead-letter-shown', { ...shown.stream, id: shown.id }));
    return shown;
  };
}
