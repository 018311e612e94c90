import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { Secret } from '../../base/secret.ts';
import type { Chunk, EventSource } from '../event-source.ts';
import { redactingSource } from './redacting-source.ts';
import * as redaction from './redactor.ts';

const chunkOf = (text: string): Chunk => ({
  bytes: Buffer.from(text),
  timeMs: 1,
  positions: [{ item: 'file', value: '7' }],
  file: '/log',
});

function setup() {
  let asked = 0;
  const source: EventSource = {
    async *chunks() {
      asked += 1;
      yield chunkOf('a secret\n');
    },
    counts: () => ({ lagBytes: 3, items: 1 }),
  };
  const known = Promise.withResolvers<void>();
  const redactor = {
    redact: (name: string, { bytes }: Pick<Chunk, 'bytes'>) => Buffer.from(`${name}: ${bytes.length}`),
  };
  const redacting = redactingSource({ name: 'app', source, redactor, known: known.promise });
  return { source, redacting, known, asked: () => asked };
}

describe('redactingSource', () => {
  test('reads nothing before the secrets are known, then hands on what the redactor leaves', async () => {
    const { redacting, known, asked } = setup();
    const chunks = redacting.chunks(new Map(), new AbortController().signal)[Symbol.asyncIterator]();

    const first = chunks.next();
    await Promise.resolve();
    expect(asked()).toBe(0);
    known.resolve();

    expect(await first).toEqual({ done: false, value: { ...chunkOf(''), bytes: Buffer.from('app: 9') } });
    expect(redacting.counts()).toEqual({ lagBytes: 3, items: 1 });
  });

  test('ends at a stop though the secrets never became known', async () => {
    const { redacting, asked } = setup();
    const stop = new AbortController();
    const chunks = redacting.chunks(new Map(), stop.signal)[Symbol.asyncIterator]();

    const first = chunks.next();
    stop.abort();

    expect(await first).toEqual({ done: true, value: undefined });
    expect(asked()).toBe(0);
  });

  test('what names a stream is redacted too', async () => {
    const fields = ['secret', 'api'];
    const source: EventSource = {
      async *chunks() {
        yield { ...chunkOf('a secret\n'), fields };
      },
      counts: () => ({ lagBytes: 0, items: 0 }),
    };
    const redactor = {
      redact: (_name: string, { bytes }: Pick<Chunk, 'bytes'>) =>
        Buffer.from(bytes.toString().replaceAll('secret', '***')),
    };
    const redacting = redactingSource({ name: 'app', source, redactor, known: Promise.resolve() });
    const chunks = redacting.chunks(new Map(), new AbortController().signal)[Symbol.asyncIterator]();

    expect(await chunks.next()).toMatchObject({
      value: { ...chunkOf('a ***\n'), fields: ['***', 'api'] },
    });
  });

  test('a field that ends as a secret begins is whole, and nothing goes on after it', async () => {
    const text = 'a Tr0ub4dor\n';
    const source: EventSource = {
      async *chunks() {
        yield { ...chunkOf(text), fields: ['Tr0ub4dor', '&3-horse'] };
      },
      counts: () => ({ lagBytes: 0, items: 0 }),
    };
    const real = redaction.redactor({ clock: fakeClock(), log: () => undefined });
    real.learn('password', Secret.ofText('Tr0ub4dor&3-horse'));
    const redacting = redactingSource({ name: 'app', source, redactor: real, known: Promise.resolve() });
    const chunks = redacting.chunks(new Map(), new AbortController().signal)[Symbol.asyncIterator]();

    expect(await chunks.next()).toMatchObject({
      value: { bytes: Buffer.from(text), fields: ['Tr0ub4dor', '&3-horse'] },
    });
  });

  test('without a redactor lines stay as they are', async () => {
    const { source } = setup();
    const redacting = redactingSource({ name: 'app', source, redactor: undefined, known: Promise.resolve() });
    const chunks = redacting.chunks(new Map(), new AbortController().signal)[Symbol.asyncIterator]();

    expect(await chunks.next()).toEqual({ done: false, value: chunkOf('a secret\n') });
  });
});
