import type { LetterShown, LettersDone, LettersPage, TestSent } from '../../events/desk.ts';
import type { DeadLetter } from '../../events/spool.ts';
import type { Launch } from '../launch.ts';
import { type Asked, askAgent } from '../monitoring/status.ts';

/** What of the dead letter is meant: numbers, or all of it. */
export type Letters = readonly number[] | 'all';

/** Sending a thousand events again takes its time. */
const longMs = 60_000;

/** All events that CloudWatch Logs refused, oldest first. @throws AGENT_…, EVENTS_NOT_SHIPPED */
export async function listLetters(
  launch: Launch,
  signal: AbortSignal,
): Promise<Omit<LettersPage, 'letters'> & { readonly letters: readonly DeadLetter[] }> {
  const letters: DeadLetter[] = [];
  for (let after = 0; ; ) {
    const page = await ask(launch, 'GET', `/events/dead-letters?after=${after}`, isPage, signal);
    letters.push(...page.letters);
    const last = page.letters.at(-1);
    if (last === undefined || letters.length >= page.total) return { ...page, letters };
    after = last.id;
  }
}

/** @throws AGENT_…, EVENTS_LETTER_MISSING */
export function showLetter(launch: Launch, id: number, signal: AbortSignal): Promise<LetterShown> {
  return ask(launch, 'GET', `/events/dead-letter?id=${id}`, isShown, signal);
}

/** @throws AGENT_…, EVENTS_LETTER_MISSING; those before the missing one were sent */
export function retryLetters(
  launch: Launch,
  letters: Letters,
  isNow: boolean,
  signal: AbortSignal,
): Promise<LettersDone> {
  const path = `/events/dead-letters/retry?${queryOf(letters)}${isNow ? '&now' : ''}`;
  return ask(launch, 'POST', path, isDone, signal);
}

/** @throws AGENT_…, EVENTS_LETTER_MISSING; those before the missing one were dropped */
export function dropLetters(launch: Launch, letters: Letters, signal: AbortSignal): Promise<LettersDone> {
  return ask(launch, 'POST', `/events/dead-letters/drop?${queryOf(letters)}`, isDone, signal);
}

/** Sends an event through the running agent. @throws AGENT_…, EVENTS_TEST_…, EVENTS_SOURCE_UNKNOWN */
export function testEvents(
  launch: Launch,
  source: string | undefined,
  signal: AbortSignal,
): Promise<TestSent> {
  const query = source === undefined ? '' : `?source=${encodeURIComponent(source)}`;
  return ask(launch, 'POST', `/events/test${query}`, isSent, signal);
}

function ask<Body>(
  launch: Launch,
  method: Asked<Body>['method'],
  path: string,
  accepts: Asked<Body>['accepts'],
  signal: AbortSignal,
): Promise<Body> {
  return askAgent(launch, { method, path, withinMs: longMs, accepts }, signal);
}

function queryOf(letters: Letters): string {
  return letters === 'all' ? 'all' : letters.map((id) => `id=${id}`).join('&');
}

function has(body: unknown, ...names: readonly string[]): boolean {
  return typeof body === 'object' && body !== null && names.every((name) => name in body);
}

function isPage(body: unknown): body is LettersPage {
  return has(body, 'letters', 'total', 'bytes');
}

function isShown(body: unknown): body is LetterShown {
  return has(body, 'id', 'message', 'reason');
}

function isDone(body: unknown): body is LettersDone {
  return has(body, 'ids');
}

function isSent(body: unknown): body is TestSent {
  return has(body, 'logStream', 'tookMs');
}
