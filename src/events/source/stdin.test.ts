import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { stdinSource } from './stdin.ts';

function setup() {
  const input = new PassThrough();
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const source = stdinSource({ name: 'input', input, clock, log: (event) => events.push(event) });
  return { input, clock, source, names: () => events.map(({ name }) => name) };
}

eventSourceContract('stdinSource', () => {
  const { input, clock, source } = setup();
  return {
    source,
    clock,
    async write(lines) {
      for (const line of lines) input.write(`${line}\n`);
    },
  };
});

describe('a source of standard input', () => {
  test('ends when its input does, with the last line, and says so', async () => {
    const { input, clock, source, names } = setup();
    const read = reading(source);

    input.end('one\ntwo');
    await clock.advance(0);

    expect(read.messages).toEqual(['one', 'two']);
    expect(names()).toEqual(['events.stdin-ended']);
  });

  test('ships a last line without its end when it has waited, and its rest after it', async () => {
    const { input, clock, source } = setup();
    const read = reading(source);
    input.write('one\npart');
    await clock.advance(4_999);
    const early = [...read.messages];

    await clock.advance(1);
    input.write('ial\n');
    await clock.advance(0);

    expect(early).toEqual(['one']);
    expect(read.messages).toEqual(['one', 'part', 'ial']);
  });

  test('does not say that its input ended when it is stopped', async () => {
    const { clock, source, names } = setup();
    const read = reading(source);
    await clock.advance(0);

    await read.stop();

    expect(names()).toEqual([]);
  });
});
