import { describe, expect, test } from 'vitest';
import { partOf, type SingleEvent } from '../batch.ts';
import type { RefusedEvent } from '../spool.ts';
import { partialDeliveries } from './partial-delivery.ts';

const stream = { logGroup: 'g', logStream: 's' };

/** Events of which some are bad, by a letter each: good, bad, or too new. */
const eventsOf = (letters: string): SingleEvent[] =>
  Array.from(letters, (letter, timestamp) => ({ timestamp, message: `${letter}${timestamp}` }));

/** Delivers as a sink does, to one who calls invalid what has a bad event in it, and refuses what is too new. */
function deliver(letters: string, deliveries = partialDeliveries()) {
  const events = eventsOf(letters);
  const batch = partOf({ stream }, events);
  const delivery = deliveries.begin(batch, events);
  const sent: string[] = [];
  let isGivenUp = !delivery.invalid();
  for (let part = delivery.next(); part !== undefined && !isGivenUp; part = delivery.next()) {
    expect(part.events).toEqual(events.slice(part.from, part.from + part.events.length));
    expect(part.events).not.toEqual([]);
    if (part.events.some(({ message }) => message.startsWith('b'))) {
      isGivenUp = !delivery.invalid();
      continue;
    }
    const tooNew = part.events.filter(({ message }) => message.startsWith('n'));
    sent.push(...part.events.filter((event) => !tooNew.includes(event)).map(({ message }) => message));
    delivery.taken(
      tooNew.map(({ timestamp, message }): RefusedEvent => ({ timestamp, message, reason: 'too-new' })),
    );
  }
  const refused = delivery.refused().map(({ message, reason }) => `${message} ${reason}`);
  return { sent, refused, isGivenUp };
}

const messagesOf = (letters: string, letter: string): string[] =>
  eventsOf(letters)
    .map(({ message }) => message)
    .filter((message) => message.startsWith(letter));

describe('a batch that is invalid as a whole', () => {
  test.each([
    ['one bad event', 'gggbgggg'],
    ['only the first good', `g${'b'.repeat(79)}`],
    ['only the last good', `${'b'.repeat(79)}g`],
    ['as many bad as it is given, and a last one that is good', `${'b'.repeat(32)}g`],
    ['bad and good in turn', 'bg'.repeat(40)],
  ])('is delivered but for what is bad: %s', (_what, letters) => {
    const { sent, refused, isGivenUp } = deliver(letters);

    expect(isGivenUp).toBe(false);
    expect(sent.toSorted()).toEqual(messagesOf(letters, 'g').toSorted());
    expect(refused).toEqual(messagesOf(letters, 'b').map((message) => `${message} invalid`));
  });

  test('tells as well what was refused of a part that was taken, in the order of the batch', () => {
    expect(deliver('gnbgb').refused).toEqual(['n1 too-new', 'b2 invalid', 'b4 invalid']);
    const { refused } = deliver(`${'b'.repeat(40)}n`);

    expect(refused).toHaveLength(41);
    expect(refused.at(-1)).toBe('n40 too-new');
  });

  test('is given up where nothing is taken, for then it is not the events', () => {
    expect(deliver('b'.repeat(40)).isGivenUp).toBe(true);
    expect(deliver('b'.repeat(33)).isGivenUp).toBe(true);
  });

  test('counts against its stream only until something is taken', () => {
    const deliveries = partialDeliveries();
    const later = `${'b'.repeat(25)}g${'b'.repeat(5)}`;

    deliver(`${'b'.repeat(20)}g`, deliveries);
    expect(deliver(later, deliveries)).toMatchObject({ isGivenUp: false, sent: ['g25'] });

    const others = partialDeliveries();
    deliver('b'.repeat(20), others);
    expect(deliver(later, others).isGivenUp).toBe(true);
  });
});
