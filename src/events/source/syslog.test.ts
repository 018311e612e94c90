import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { type SyslogSourceOptions, syslogSource } from './syslog.ts';

function setup(options: Partial<SyslogSourceOptions> = {}) {
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const listening = Promise.withResolvers<number>();
  const source = syslogSource({
    name: 'syslog',
    format: 'raw',
    mode: '0600',
    clock,
    log: (event) => events.push(event),
    onListening: (_transport, port) => listening.resolve(port ?? 0),
    ...options,
  });
  return {
    clock,
    source,
    listening: listening.promise,
    said: (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields),
  };
}

async function sendStream(to: { port: number; host: string } | { path: string }, bytes: string | Buffer) {
  const socket = connect(to);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return socket;
}

async function sendDatagrams(port: number, messages: readonly string[]): Promise<void> {
  const socket = createSocket('udp4');
  for (const message of messages) {
    await new Promise<void>((resolve) => socket.send(message, port, '127.0.0.1', () => resolve()));
  }
  socket.close();
}

eventSourceContract('syslogSource', () => {
  const path = join(temporaryDirectory(), 'syslog.sock');
  const { source, clock, listening } = setup({ socket: path });
  let before: Promise<unknown> = Promise.resolve();
  let socket: ReturnType<typeof connect> | undefined;
  return {
    source,
    clock,
    async write(lines) {
      const text = lines.map((line) => `${line}\n`).join('');
      const send = async (after: Promise<unknown>): Promise<void> => {
        await Promise.all([after, listening]);
        if (socket === undefined) socket = await sendStream({ path }, text);
        else socket.write(text);
      };
      before = send(before);
    },
  };
});

describe('a syslog source', () => {
  test.each([
    ['tcp', '<13>one\n7 <13>two<13>three\n'],
    ['tcp', '9 <13>one\nx7 <13>two9 <13>three'],
  ] as const)('takes messages by %s, framed as %j', async (transport, bytes) => {
    const { source, listening } = setup({ [transport]: '127.0.0.1:0', format: 'json' });
    const read = reading(source);

    await sendStream({ port: await listening, host: '127.0.0.1' }, bytes);

    await vi.waitFor(() => expect(read.messages).toHaveLength(3));
    expect(read.messages.map((each) => JSON.parse(each).message.replace('\nx', ''))).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  test('takes datagrams, and counts those for which there is no room', async () => {
    const { source, listening, clock, said } = setup({ udp: '127.0.0.1:0', queueBytesMax: 600 });
    const stopping = new AbortController();
    const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    const port = await listening;
    await sendDatagrams(port, ['first\n']);
    const { value } = await first;
    await sendDatagrams(
      port,
      Array.from({ length: 20 }, (_, each) => `message ${each}`),
    );

    await vi.waitFor(async () => {
      await clock.advance(10_000);
      expect(
        said('events.datagrams-dropped').reduce((sum, { datagrams }) => sum + Number(datagrams), 0),
      ).toBe(16);
    });

    expect(value.bytes.toString()).toBe('first');
    expect(source.counts().items).toBe(4);
    stopping.abort();
    await iterator.return?.();
  });

  test('a peer waits while there is no room, and nothing of it is lost', async () => {
    const { source, listening } = setup({ tcp: '127.0.0.1:0', queueBytesMax: 10_000 });
    const lines = Array.from({ length: 20_000 }, (_, each) => `message ${each}`);
    const stopping = new AbortController();
    const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    await sendStream({ port: await listening, host: '127.0.0.1' }, lines.map((line) => `${line}\n`).join(''));

    const messages: string[] = [(await first).value.bytes.toString()];
    let itemsMax = 0;
    while (messages.length < lines.length) {
      messages.push((await iterator.next()).value.bytes.toString());
      itemsMax = Math.max(itemsMax, source.counts().lagBytes);
    }

    expect(messages).toEqual(lines);
    expect(itemsMax).toBeLessThanOrEqual(10_000);
    stopping.abort();
    await iterator.return?.();
  });

  test('sends a peer away whose message has no end, and says so', async () => {
    const { source, listening, said } = setup({ tcp: '127.0.0.1:0' });
    reading(source);

    const socket = await sendStream({ port: await listening, host: '127.0.0.1' }, '99999999 ');
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));

    expect(said('events.peer-refused')).toEqual([{ source: 'syslog', reason: 'frame-too-long' }]);
  });
});
