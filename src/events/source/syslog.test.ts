import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
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

    await vi.waitFor(() => expect(read.messages).toHaveLength(3), patient);
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
    }, patient);

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

  const tenMinutesMs = 10 * 60 * 1000;

  test('a peer that waits for room is not taken for a silent one, however long that is', async () => {
    const { source, listening, clock, said } = setup({ tcp: '127.0.0.1:0', queueBytesMax: 10_000 });
    const lines = Array.from({ length: 20_000 }, (_, each) => `message ${each}`);
    const stopping = new AbortController();
    const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    await sendStream({ port: await listening, host: '127.0.0.1' }, lines.map((line) => `${line}\n`).join(''));
    const messages: string[] = [(await first).value.bytes.toString()];
    await vi.waitFor(() => expect(source.counts().lagBytes).toBeGreaterThan(9_000), patient);

    for (let times = 0; times < 6; times += 1) await clock.advance(tenMinutesMs);
    while (messages.length < lines.length) {
      messages.push((await iterator.next()).value.bytes.toString());
    }

    expect(messages).toEqual(lines);
    expect(said('events.messages-lost')).toEqual([]);
    stopping.abort();
    await iterator.return?.();
  });

  test('lets a peer go that says nothing for ten minutes, and says what of a message is lost', async () => {
    const { source, listening, clock, said } = setup({ tcp: '127.0.0.1:0' });
    const read = reading(source);
    const socket = await sendStream({ port: await listening, host: '127.0.0.1' }, 'whole\nnot who');
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await vi.waitFor(() => expect(read.messages).toEqual(['whole']), patient);

    await clock.advance(tenMinutesMs - 1);
    expect(said('events.messages-lost')).toEqual([]);
    await clock.advance(1);
    await closed;

    expect(said('events.messages-lost')).toEqual([{ source: 'syslog', reason: 'idle', messages: 1 }]);
  });

  test('a peer that speaks now and then stays', async () => {
    const { source, listening, clock } = setup({ tcp: '127.0.0.1:0' });
    const read = reading(source);
    const socket = await sendStream({ port: await listening, host: '127.0.0.1' }, '0\n');

    for (const each of [1, 2, 3]) {
      await vi.waitFor(() => expect(read.messages).toHaveLength(each), patient);
      await clock.advance(tenMinutesMs - 1);
      socket.write(`${each}\n`);
    }

    await vi.waitFor(() => expect(read.messages).toEqual(['0', '1', '2', '3']), patient);
  });

  test('says how many messages are held when a stop lets a peer go', async () => {
    const { source, listening, said } = setup({ tcp: '127.0.0.1:0', queueBytesMax: 600 });
    const stopping = new AbortController();
    const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    const lines = Array.from({ length: 20 }, (_, each) => `message ${each}\n`);
    await sendStream({ port: await listening, host: '127.0.0.1' }, `${lines.join('')}not who`);
    await first;
    await vi.waitFor(() => expect(source.counts().items).toBe(4), patient);

    stopping.abort();
    await iterator.return?.();

    const [lost] = said('events.messages-lost');
    expect(lost).toMatchObject({ source: 'syslog', reason: 'stopping' });
    // What was handed on, what the queue holds, and the unfinished one.
    expect(lost?.['messages']).toBe(20 - 1 - 4 + 1);
  });

  test('what came before a message without end is taken', async () => {
    const { source, listening, said } = setup({ tcp: '127.0.0.1:0' });
    const read = reading(source);

    await sendStream({ port: await listening, host: '127.0.0.1' }, 'one\ntwo\n99999999 ');

    await vi.waitFor(() => expect(said('events.peer-refused')).toHaveLength(1), patient);
    await vi.waitFor(() => expect(read.messages).toEqual(['one', 'two']), patient);
  });

  test('sends a peer away whose message has no end, and says so', async () => {
    const { source, listening, said } = setup({ tcp: '127.0.0.1:0' });
    reading(source);

    const socket = await sendStream({ port: await listening, host: '127.0.0.1' }, '99999999 ');
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));

    expect(said('events.peer-refused')).toEqual([{ source: 'syslog', reason: 'frame-too-long', peers: 1 }]);
  });

  test('those that are sent away for one reason are said once a minute, and at the end', async () => {
    const { source, listening, clock, said } = setup({ tcp: '127.0.0.1:0' });
    const read = reading(source);
    const port = await listening;
    const sentAway = async (): Promise<void> => {
      const socket = await sendStream({ port, host: '127.0.0.1' }, '99999999 ');
      await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    };
    const peers = () => said('events.peer-refused').map((each) => each['peers']);

    for (let each = 0; each < 3; each += 1) await sentAway();
    expect(peers()).toEqual([1]);
    await clock.advance(60_000);
    expect(peers()).toEqual([1, 2]);
    await sentAway();
    await read.stop();

    expect(peers()).toEqual([1, 2, 1]);
  });

  test('and of those the one goes that was silent longest, not the one that speaks', async () => {
    const { source, listening, clock, said } = setup({ tcp: '127.0.0.1:0' });
    const read = reading(source);
    const to = { port: await listening, host: '127.0.0.1' };
    const large = Buffer.alloc(1_000_000, 'x');
    const peers = () => said('events.peer-refused').map((each) => each['peers']);
    const honest = await sendStream(to, 'y');
    await Promise.all(Array.from({ length: 17 }, () => sendStream(to, large)));
    await vi.waitFor(() => expect(peers()).toEqual([1]), patient);

    await clock.advance(60_000);
    honest.write(Buffer.alloc(large.length, 'y'));
    await vi.waitFor(() => expect(peers()).toEqual([1, 1]), patient);
    honest.end('\n');

    await vi.waitFor(
      () => expect(read.messages.map(({ length }) => length)).toEqual([1 + large.length]),
      patient,
    );
  });

  test('of peers that do not end their messages one with a large share goes before memory does', async () => {
    const { source, listening, said } = setup({ tcp: '127.0.0.1:0' });
    const read = reading(source);
    const to = { port: await listening, host: '127.0.0.1' };
    const small = await sendStream(to, 'small');
    const large = Buffer.alloc(1_000_000, 'x');

    // 17 are more than 16 MiB.
    const sockets = await Promise.all(Array.from({ length: 17 }, () => sendStream(to, large)));
    const refusal = { source: 'syslog', reason: 'too-much-unfinished', peers: 1 };
    await vi.waitFor(() => expect(said('events.peer-refused')).toEqual([refusal]), patient);
    for (const socket of [small, ...sockets]) socket.end('\n');

    await vi.waitFor(() => expect(read.messages).toHaveLength(17), patient);
    expect(read.messages.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([
      5,
      ...Array.from({ length: 16 }, () => large.length),
    ]);
  });
});
