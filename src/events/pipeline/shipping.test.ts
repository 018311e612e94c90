import { expect, onTestFinished, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { bodyBytesUsual, borrowDraft, holdBody, returnBody } from '../body-memory.ts';
import { bodyAreas } from '../encoding/encoder-memory.ts';
import { eventsError } from '../errors.ts';
import type { SpooledBatch } from '../spool.ts';
import { departures } from './departures.ts';
import { pipelineLimits } from './limits.ts';
import { shipping } from './shipping.ts';

const stream = { logGroup: 'g', logStream: 's' };

test('what is tried again and again is held no more often than what is taken at once', async () => {
  const clock = fakeClock();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const free = bodyAreas.count;
  const batch: SpooledBatch = {
    id: 1,
    stream,
    body: borrowDraft(bodyBytesUsual),
    events: 1,
    bytes: 30,
    addedMs: 0,
  };
  const waiting = [batch];
  let tries = 0;
  const leaving = departures();
  const shipped = shipping({
    spool: {
      streams: () => waiting.map((each) => each.stream),
      async read({ except }) {
        const found = waiting.filter(({ id }) => except?.has(id) !== true);
        for (const { body } of found) holdBody(body);
        return found;
      },
      settle: async () => waiting.pop() !== undefined,
    },
    departures: leaving,
    sink: {
      async send() {
        tries += 1;
        if (tries < 10) throw eventsError('EVENTS_UNREACHABLE', {});
        return [];
      },
    },
    turns: { untilDone: (_what, work) => work() },
    limits: pipelineLimits,
    onTaken: () => undefined,
    onMoved: () => undefined,
    clock,
    log: () => undefined,
  });
  void shipped.run(stop.signal);

  await clock.advance(600_000);

  expect(tries).toBe(10);
  expect(waiting).toEqual([]);
  expect([...leaving.sending]).toEqual([]);
  // Its reader gave back what it had; it is the spool that still has it.
  expect(bodyAreas.free).toBe(free - 1);
  returnBody(batch.body);
  expect(bodyAreas.free).toBe(free);
});
