import { expect, test } from 'vitest';
import { logEventTable } from './log-events.ts';

/** What every log line has of its own: a field of that name would take its place. */
const ofTheLine = new Set(['level', 'time', 'event', 'message']);

test.each(Object.entries(logEventTable))(
  '%s has no field that a log line has already',
  (_name, { fields }) => {
    expect(Object.keys(fields).filter((name) => ofTheLine.has(name))).toEqual([]);
  },
);
