import { describe, expect, it } from 'vitest';
import {
  dayMs,
  eventsAt,
  groupMissing,
  hourMs,
  logsFixture,
  messages,
  place,
  repeated,
  start,
  streamMissing,
} from '../../test/support/logs-fixture.ts';
import type { JsonValue } from '../service.ts';

describe('PutLogEvents', () => {
  it('keeps events in order and gives a token nobody needs', () => {
    const { put, get } = logsFixture();

    const reply = put(eventsAt(0, 1, 2), { sequenceToken: 'anything' });

    expect(reply).toEqual({ nextSequenceToken: expect.stringMatching(/^\d{56}$/u) });
    expect(get()['events']).toEqual(
      eventsAt(0, 1, 2).map(({ timestamp, message }) => ({
        timestamp,
        message,
        ingestionTime: start.getTime(),
      })),
    );
  });

  it('takes exactly 1,048,576 bytes and not one more', () => {
    const { put } = logsFixture();
    const half = 1_048_576 / 2 - 26;

    const full = [...repeated(1, 'x'.repeat(half)), ...repeated(1, 'x'.repeat(half))];
    const over = [...repeated(1, 'x'.repeat(half)), ...repeated(1, 'x'.repeat(half + 1))];

    expect(put(full)).not.toHaveProperty('rejectedLogEventsInfo');
    expect(() => put(over)).toThrow('Upload too large: 1048577 bytes exceeds limit of 1048576');
  });

  it('counts bytes of UTF-8 and not characters', () => {
    const { put } = logsFixture();

    expect(() => put(repeated(2, 'é'.repeat(262_132)))).toThrow('Upload too large: 1048580 bytes');
    expect(put(repeated(2, 'é'.repeat(262_131)))).not.toHaveProperty('rejectedLogEventsInfo');
  });

  it('takes an event of 1,048,550 bytes alone and calls a larger one by its name', () => {
    const { put } = logsFixture();

    expect(put(repeated(1, 'x'.repeat(1_048_550)))).not.toHaveProperty('rejectedLogEventsInfo');
    expect(() => put(repeated(1, 'x'.repeat(1_048_551)))).toThrow(
      'Log event too large: 1048577 bytes exceeds limit of 1048576',
    );
  });

  it('takes 1 to 10,000 events', () => {
    const { put } = logsFixture();

    expect(put(repeated(10_000))).not.toHaveProperty('rejectedLogEventsInfo');
    expect(() => put(repeated(10_001))).toThrow('less than or equal to 10000');
    expect(() => put([])).toThrow('greater than or equal to 1');
  });

  it('says of a negative timestamp which one it was', () => {
    const { put } = logsFixture();

    expect(() => put([{ timestamp: -1, message: 'a' }])).toThrow(
      "Value '-1' at 'logEvents.1.member.timestamp' failed to satisfy constraint",
    );
  });

  it.each([
    ['an empty message', [{ timestamp: 1, message: '' }], 'InvalidParameterException'],
    ['no message', [{ timestamp: 1 }], 'InvalidParameterException'],
    ['a message that is no string', [{ timestamp: 1, message: 5 }], 'SerializationException'],
    ['no timestamp', [{ message: 'a' }], 'InvalidParameterException'],
    ['a negative timestamp', [{ timestamp: -1, message: 'a' }], 'InvalidParameterException'],
    ['a fraction of a millisecond', [{ timestamp: 1.5, message: 'a' }], 'SerializationException'],
    ['a timestamp that is a string', [{ timestamp: '1', message: 'a' }], 'SerializationException'],
    ['an event that is no structure', ['a'], 'SerializationException'],
    ['events that are no list', 'a', 'SerializationException'],
    ['no events', null, 'InvalidParameterException'],
  ] satisfies [string, JsonValue, string][])('refuses %s', (_what, logEvents, name) => {
    const { put } = logsFixture();

    expect(() => put(logEvents)).toThrow(expect.objectContaining({ name, status: 400 }));
  });

  it('refuses a whole batch that is out of order', () => {
    const { put, get } = logsFixture();

    expect(() => put(eventsAt(1, 0))).toThrow(/must be in chronological order/u);
    expect(get()['events']).toEqual([]);
  });

  it('takes a span of 24 hours exactly and refuses one millisecond more', () => {
    const { put } = logsFixture();

    expect(put(eventsAt(-dayMs, 0))).not.toHaveProperty('rejectedLogEventsInfo');
    expect(() => put(eventsAt(-dayMs - 1, 0))).toThrow(/cannot span more than 24 hours/u);
  });

  it('counts only events the clock allows into the span', () => {
    const { put, get } = logsFixture();

    const reply = put(eventsAt(-20 * dayMs, -15 * dayMs, 0, 3 * hourMs));

    expect(reply['rejectedLogEventsInfo']).toEqual({
      tooOldLogEventEndIndex: 2,
      tooNewLogEventStartIndex: 3,
    });
    expect(messages(get())).toEqual(['line 2']);
  });

  it('rejects events more than two hours ahead, to the millisecond', () => {
    const { put, get } = logsFixture();

    const reply = put(eventsAt(0, 2 * hourMs, 2 * hourMs + 1, 5 * hourMs));

    expect(reply['rejectedLogEventsInfo']).toEqual({ tooNewLogEventStartIndex: 2 });
    expect(messages(get())).toEqual(['line 0', 'line 1']);
  });

  it('rejects events more than fourteen days old, to the millisecond', () => {
    const { put, get } = logsFixture();

    const reply = put(eventsAt(-14 * dayMs - 1, -14 * dayMs));

    expect(reply['rejectedLogEventsInfo']).toEqual({ tooOldLogEventEndIndex: 1 });
    expect(messages(get())).toEqual(['line 1']);
  });

  it('rejects events older than the retention of the group', () => {
    const { call, put, get, state } = logsFixture();
    call('PutRetentionPolicy', { logGroupName: 'group', retentionInDays: 3 });

    const reply = put(eventsAt(-3 * dayMs - 2, -3 * dayMs - 1, -3 * dayMs, -3 * dayMs + 1));

    expect(reply['rejectedLogEventsInfo']).toEqual({ expiredLogEventEndIndex: 2 });
    expect(state.groups['group']?.eventCount).toBe(2);
    expect(messages(get())).toEqual(['line 2', 'line 3']);
  });

  it('answers 200 to a batch of which it takes nothing', () => {
    const { call, put, get } = logsFixture();
    call('PutRetentionPolicy', { logGroupName: 'group', retentionInDays: 1 });

    const reply = put(eventsAt(-15 * dayMs, -2 * dayMs));

    expect(reply['rejectedLogEventsInfo']).toEqual({ tooOldLogEventEndIndex: 1, expiredLogEventEndIndex: 2 });
    expect(get()['events']).toEqual([]);
  });

  it('tells a missing group from a missing stream', () => {
    const { call } = logsFixture();
    const logEvents = eventsAt(0);

    const name = 'ResourceNotFoundException';
    expect(() => call('PutLogEvents', { ...place, logGroupName: 'other', logEvents })).toThrow(
      expect.objectContaining({ name, message: groupMissing }),
    );
    expect(() => call('PutLogEvents', { ...place, logStreamName: 'other', logEvents })).toThrow(
      expect.objectContaining({ name, message: streamMissing }),
    );
  });

  it('says what is wrong with an entity and takes the events', () => {
    const { put, get } = logsFixture();

    const reply = put(eventsAt(0), { entity: { keyAttributes: { Type: 'Service' } } });

    expect(reply['rejectedEntityInfo']).toEqual({ errorType: 'InvalidKeyAttributes' });
    expect(messages(get())).toEqual(['line 0']);
  });

  it('takes 300,000 lines', () => {
    const { put, state } = logsFixture();
    const line = 'x'.repeat(70);

    for (let batch = 0; batch < 30; batch += 1) put(repeated(10_000, line));

    expect(state.groups['group']?.eventCount).toBe(300_000);
  });
});
