import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dayMs,
  eventsAt,
  hourMs,
  logsFixture,
  messages,
  repeated,
  start,
  streamMissing,
  structures,
} from '../../test/support/logs-fixture.ts';

describe('GetLogEvents', () => {
  it('pages forward and gives the same token back at the end', () => {
    const { put, get } = logsFixture();
    put(eventsAt(0, 1, 2));

    const first = get({ limit: 2 });
    const second = get({ limit: 2, nextToken: first['nextForwardToken'] });
    const third = get({ limit: 2, nextToken: second['nextForwardToken'] });

    expect([first, second, third].map(messages)).toEqual([['line 0', 'line 1'], ['line 2'], []]);
    expect(third['nextForwardToken']).toBe(second['nextForwardToken']);
  });

  it('goes on from the end once more has come', () => {
    const { put, get } = logsFixture();
    put(eventsAt(0));
    const end = get();

    put(eventsAt(0, 5));

    expect(messages(get({ nextToken: end['nextForwardToken'] }))).toEqual(['line 0', 'line 1']);
  });

  it('begins with the latest page and pages backward, each page oldest first', () => {
    const { put, get } = logsFixture();
    put(eventsAt(0, 1, 2));

    const first = get({ limit: 2, startFromHead: false });
    const second = get({ limit: 2, nextToken: first['nextBackwardToken'] });
    const third = get({ limit: 2, nextToken: second['nextBackwardToken'] });

    expect([first, second, third].map(messages)).toEqual([['line 1', 'line 2'], ['line 0'], []]);
    expect(third['nextBackwardToken']).toBe(second['nextBackwardToken']);
  });

  it('includes startTime and excludes endTime', () => {
    const { put, get } = logsFixture();
    put(eventsAt(0, 1, 2, 3));

    const reply = get({ startTime: start.getTime() + 1, endTime: start.getTime() + 3 });

    expect(messages(reply)).toEqual(['line 1', 'line 2']);
  });

  it('gives at most 1 MiB a page', () => {
    const { put, get } = logsFixture();
    const large = 'x'.repeat(600_000);
    put(repeated(1, large));
    put(repeated(1, large));

    expect(messages(get())).toHaveLength(1);
  });

  it('no longer gives what has expired since', () => {
    const { call, put, get, advance } = logsFixture();
    call('PutRetentionPolicy', { logGroupName: 'group', retentionInDays: 1 });
    put(eventsAt(0, 2 * hourMs));

    advance(dayMs + hourMs);

    expect(messages(get())).toEqual(['line 1']);
  });

  it('refuses a token it did not make', () => {
    const { get } = logsFixture();

    expect(() => get({ nextToken: 'f/1' })).toThrow(
      expect.objectContaining({ name: 'InvalidParameterException' }),
    );
  });

  it('orders batches that came out of order, in every page size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 5 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 7 }),
        (batches, limit) => {
          const { put, get } = logsFixture();
          const sent = batches.flatMap((offsets, batch) => {
            const events = offsets
              .toSorted((left, right) => left - right)
              .map((offset, index) => ({
                timestamp: start.getTime() + offset,
                message: `${batch}.${index}`,
              }));
            put(events);
            return events;
          });

          const read: unknown[] = [];
          let reply = get({ limit });
          while (messages(reply).length > 0) {
            read.push(...messages(reply));
            reply = get({ limit, nextToken: reply['nextForwardToken'] });
          }

          const expected = sent.toSorted((left, right) => left.timestamp - right.timestamp);
          expect(read).toEqual(expected.map(({ message }) => message));
        },
      ),
      { numRuns: 60 },
    );
  });
});

function withTwoStreams() {
  const fixture = logsFixture();
  fixture.call('CreateLogStream', { logGroupName: 'group', logStreamName: 'other' });
  const put = (logStreamName: string, offset: number, message: string) =>
    fixture.call('PutLogEvents', {
      logGroupName: 'group',
      logStreamName,
      logEvents: [{ timestamp: start.getTime() + offset, message }],
    });
  put('stream', 0, 'ERROR disk full');
  put('other', 1, 'WARN disk slow');
  put('stream', 2, 'INFO all well');
  return fixture;
}

describe('FilterLogEvents', () => {
  it('merges streams by time, and back again', () => {
    const { filter } = withTwoStreams();

    const lines = ['ERROR disk full', 'WARN disk slow', 'INFO all well'];
    expect(messages(filter())).toEqual(lines);
    expect(messages(filter({ startFromHead: false }))).toEqual(lines.toReversed());
  });

  it.each([
    ['disk', ['ERROR disk full', 'WARN disk slow']],
    ['disk ERROR', ['ERROR disk full']],
    ['"all well"', ['INFO all well']],
    ['?ERROR ?INFO', ['ERROR disk full', 'INFO all well']],
    ['disk -ERROR', ['WARN disk slow']],
    ['disk ?ERROR', ['ERROR disk full', 'WARN disk slow']],
    ['error', []],
    ['', ['ERROR disk full', 'WARN disk slow', 'INFO all well']],
  ])('finds by the pattern %j', (pattern, expected) => {
    const { filter } = withTwoStreams();

    expect(messages(filter({ filterPattern: pattern }))).toEqual(expected);
  });

  it.each(['a-b', '{ $.a = 1 }', '[a, b]', '%a%', '"open'])('refuses the pattern %j', (filterPattern) => {
    const { filter } = withTwoStreams();

    expect(() => filter({ filterPattern })).toThrow(
      expect.objectContaining({ name: 'InvalidParameterException' }),
    );
  });

  it.each([true, false])('pages without losing or repeating, from the head: %j', (startFromHead) => {
    const { filter } = withTwoStreams();

    const read: unknown[] = [];
    let reply = filter({ limit: 1, startFromHead });
    read.push(...messages(reply));
    while (reply['nextToken'] !== undefined) {
      reply = filter({ limit: 1, nextToken: reply['nextToken'] });
      read.push(...messages(reply));
    }

    const all = messages(filter());
    expect(read).toEqual(startFromHead ? all : all.toReversed());
  });

  it('searches only the streams that are named, and times with their ends', () => {
    const { filter } = withTwoStreams();

    expect(messages(filter({ logStreamNames: ['other'] }))).toEqual(['WARN disk slow']);
    expect(messages(filter({ logStreamNamePrefix: 'str' }))).toHaveLength(2);
    expect(messages(filter({ endTime: start.getTime() + 1 }))).toHaveLength(2);
    expect(() => filter({ logStreamNames: ['none'] })).toThrow(streamMissing);
    expect(() => filter({ logStreamNames: ['other'], logStreamNamePrefix: 'o' })).toThrow(
      /mutually exclusive/u,
    );
  });

  it('gives every event of a group an id of its own', () => {
    const { filter } = withTwoStreams();

    const ids = structures(filter()['events']).map((event) => event['eventId']);

    expect(new Set(ids).size).toBe(3);
    expect(ids).toEqual(ids.map(() => expect.stringMatching(/^\d{56}$/u)));
  });
});
