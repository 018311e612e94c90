import { expect, test } from 'vitest';
import type { LogEvent } from '../base/log-events.ts';
import type { StreamName } from './batch.ts';
import type { EventSource } from './event-source.ts';
import { failingShare } from './failing-share.ts';
import { a, batchOf, never } from './spool.contract.ts';

const denied = { ...a, roleOf: 'denied' };

const nothing: EventSource = {
  async *chunks() {},
  counts: () => ({ lagBytes: 0, items: 0 }),
};

/** A spool of 800 bytes, each batch 100 of them. */
function setup(streams: readonly StreamName[] = [a, denied]) {
  const events: LogEvent[] = [];
  let bytes = 0;
  const share = failingShare({
    sources: streams.map((stream, index) => ({
      name: `s${index}`,
      source: nothing,
      streamOf: () => stream,
    })),
    spool: { counts: () => ({ bytes, bytesMax: 800 }), sizeOf: () => 100 },
    isFailing: (roleOf) => roleOf === 'denied',
    log: (event) => void events.push(event),
  });
  const append = async (stream: StreamName = denied): Promise<void> => {
    await share.room(batchOf(stream, 'one'), never);
    bytes += 100;
  };
  const settle = async (): Promise<void> => {
    bytes -= 100;
    share.look();
    await new Promise(setImmediate);
  };
  const said = (): string[] => events.map(({ name }) => name.replace('events.spool-', ''));
  return { share, append, settle, said, bytes: () => bytes };
}

test('a role that fails waits at its part, and others do not', async () => {
  const { append, settle, bytes } = setup();
  for (let each = 0; each < 7; each += 1) await append();

  const waiting = append();
  await append(a);
  expect(bytes()).toBe(800);
  await settle();
  expect(bytes()).toBe(700);
  await settle();
  await waiting;

  expect(bytes()).toBe(700);
});

test('at the brim being full is said once, and room again when half of the part is free', async () => {
  const { append, settle, said, bytes } = setup();
  for (let each = 0; each < 7; each += 1) await append();

  for (let each = 0; each < 5; each += 1) {
    const waiting = append();
    await settle();
    await waiting;
  }
  expect(bytes()).toBe(700);
  expect(said()).toEqual(['full']);
  while (bytes() > 400) await settle();
  expect(said()).toEqual(['full']);
  await settle();
  expect(said()).toEqual(['full', 'relieved']);
  await settle();

  expect(said()).toEqual(['full', 'relieved']);
});

test('where all go under one role nobody waits', async () => {
  const { share, append, bytes, said } = setup([denied, denied]);

  for (let each = 0; each < 9; each += 1) await append();

  expect(bytes()).toBe(900);
  expect(share.isBounding(denied)).toBe(false);
  expect(said()).toEqual([]);
});
