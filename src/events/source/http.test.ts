import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { type HttpSourceOptions, httpSource, requestBytesMax, roomWithinMs } from './http.ts';
import { connectionsMax } from './listen.ts';

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
}

function setup(options: Partial<HttpSourceOptions> = {}) {
  const socket = join(temporaryDirectory(), 'events.sock');
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const listening = Promise.withResolvers<void>();
  const source = httpSource({
    name: 'intake',
    listen: socket,
    mode: '0660',
    clock,
    log: (event) => events.push(event),
    onListening: () => listening.resolve(),
    ...options,
  });
  async function post(
    body: string | Buffer,
    headers: Record<string, string> = { 'content-type': 'text/plain' },
    method = 'POST',
  ): Promise<Answer> {
    await listening.promise;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { socketPath: socket, method, headers: { host: 'localhost', ...headers } },
        (reply) => {
          const pieces: Buffer[] = [];
          reply.on('data', (piece: Buffer) => pieces.push(piece));
          reply.on('end', () =>
            resolve({
              status: reply.statusCode ?? 0,
              body: JSON.parse(Buffer.concat(pieces).toString()),
              headers: reply.headers,
            }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
  return { source, socket, clock, events, post, listening: listening.promise };
}

eventSourceContract('httpSource', () => {
  const { source, clock, post } = setup();
  let before: Promise<unknown> = Promise.resolve();
  /** As a client does that was told to try again. */
  const sent = async (body: string): Promise<void> => {
    for (;;) if ((await post(body)).status !== 429) return;
  };
  return {
    source,
    clock,
    async write(lines) {
      const body = lines.map((line) => `${line}\n`).join('');
      before = before.then(() => sent(body)).catch(() => undefined);
    },
  };
});

/** A source with a request that it has taken and not answered yet: what comes now waits. */
async function onItsWay() {
  const { post, listening, ...rest } = setup();
  const stopping = new AbortController();
  const iterator = rest.source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
  const first = iterator.next();
  await listening;
  const taken = post('on its way');
  const { value } = await first;
  return { ...rest, post, stopping, iterator, taken, value };
}

describe('an http source', () => {
  test('answers when its lines are durable, and not before', async () => {
    const { source, post } = setup();
    const stopping = new AbortController();
    const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    let answer: Answer | undefined;
    const posted = post('one\ntwo').then((each) => (answer = each));

    const { value } = await first;
    const before = answer;
    value.onDurable?.();
    await posted;

    expect(value.bytes.toString()).toBe('one\ntwo\n');
    expect(before).toBeUndefined();
    expect(answer).toMatchObject({ status: 200, body: { events: 2 } });
    stopping.abort();
    await iterator.return?.();
  });

  test('says 429 where room is long in coming, and takes nothing of that request', async () => {
    const { source, post, clock, stopping, iterator, taken, value } = await onItsWay();
    const queued = post('waits');
    await vi.waitFor(() => expect(source.counts().items).toBe(1), patient);

    await clock.advance(roomWithinMs);

    expect(await queued).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(source.counts()).toEqual({ lagBytes: 0, items: 0 });
    value.onDurable?.();
    expect(await taken).toMatchObject({ status: 200 });
    stopping.abort();
    expect((await iterator.next()).done).toBe(true);
  });

  test('takes nothing of a request whose client has gone before its turn', async () => {
    const { source, socket, stopping, iterator, taken, value } = await onItsWay();
    const client = connect(socket);
    client.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nwaits');
    await vi.waitFor(() => expect(source.counts().items).toBe(1), patient);

    client.destroy();

    await vi.waitFor(() => expect(source.counts().items).toBe(0), patient);
    value.onDurable?.();
    await taken;
    stopping.abort();
    expect((await iterator.next()).done).toBe(true);
  });

  test('takes a few requests of one connection that come before the answers to others, and says 429 to the rest', async () => {
    const { source, socket, stopping, iterator, taken, value } = await onItsWay();
    const last = headOf(1).replace('\r\n\r\n', '\r\nconnection: close\r\n\r\nx');
    const answers = answerTo(socket, `${headOf(1)}x`.repeat(99) + last);
    await vi.waitFor(() => expect(source.counts().items).toBeGreaterThanOrEqual(8), patient);

    value.onDurable?.();
    const queued = await iterator.next();
    queued.value.onDurable?.();

    expect(await taken).toMatchObject({ status: 200 });
    expect((await answers).match(/(?<=HTTP\/1\.1 )\d+/gu)).toEqual([
      ...Array.from({ length: 8 }, () => '200'),
      ...Array.from({ length: 92 }, () => '429'),
    ]);
    stopping.abort();
    expect((await iterator.next()).done).toBe(true);
  });

  test('says 429 when there is no room, and takes nothing of that request', async () => {
    const { source, post, listening } = setup({ queueBytesMax: 1_000 });
    const stopping = new AbortController();
    const iterator = source.chunks(new Map(), stopping.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    await listening;
    const waiting = post('x'.repeat(10));
    await first;
    const queued = post('y'.repeat(800));
    const polled = await untilStatus(() => post('z'.repeat(800)), 429);

    const { value } = await iterator.next();

    expect(polled.headers['retry-after']).toBe('1');
    expect(value.bytes.toString()).toBe(`${'y'.repeat(800)}\n`);
    stopping.abort();
    value.onDurable?.();
    (await first).value.onDurable?.();
    await Promise.all([waiting, queued]);
    await iterator.return?.();
  });

  test.each([
    ['lines of JSON', 'application/x-ndjson', '{"a":1}\n\n[2]\n', ['{"a":1}', '[2]']],
    ['a JSON array', 'application/json; charset=utf-8', '[{"a": 1},\n "b"]', ['{"a":1}', '"b"']],
    ['a JSON value', 'application/json', '{"a":\n1}', ['{"a":1}']],
    [
      'long numbers',
      'application/json',
      '[{"id":12345678901234567890, "n":1.0}]',
      ['{"id":12345678901234567890,"n":1.0}'],
    ],
    ['text without a type', '', 'one\ntwo', ['one', 'two']],
  ])('takes %s', async (_what, type, body, messages) => {
    const { source, post } = setup();
    const read = reading(source);

    const { status } = await post(body, type === '' ? {} : { 'content-type': type });

    expect(status).toBe(200);
    expect(read.messages).toEqual(messages);
  });

  test('takes gzip', async () => {
    const { source, post } = setup();
    const read = reading(source);

    const { status } = await post(gzipSync('one\n'), {
      'content-type': 'text/plain',
      'content-encoding': 'gzip',
    });

    expect(status).toBe(200);
    expect(read.messages).toEqual(['one']);
  });

  test.each([
    ['no JSON', 400, '{', { 'content-type': 'application/json' }],
    ['a line that is no JSON', 400, '1\n{\n', { 'content-type': 'application/x-ndjson' }],
    ['what is not gzip', 400, 'x', { 'content-type': 'text/plain', 'content-encoding': 'gzip' }],
    [
      'a bomb',
      400,
      gzipSync(Buffer.alloc(requestBytesMax + 1)),
      { 'content-type': 'text/plain', 'content-encoding': 'gzip' },
    ],
    ['another type', 400, 'x', { 'content-type': 'image/png' }],
    ['a browser', 403, 'x', { 'content-type': 'text/plain', origin: 'https://example.com' }],
    ['a name that leads here', 403, 'x', { 'content-type': 'text/plain', host: 'rebound.example.com' }],
    ['too much', 413, Buffer.alloc(requestBytesMax + 1, 'x'), { 'content-type': 'text/plain' }],
  ])('refuses %s with %i', async (_what, expected, body, headers) => {
    const { source, post } = setup();
    const read = reading(source);

    const { status } = await post(body, headers);

    expect(status).toBe(expected);
    expect(read.messages).toEqual([]);
  });

  test('says 429 while so much is coming from others that it would not fit into memory', async () => {
    const { source, socket, post, listening } = setup();
    reading(source);
    await listening;
    // What is heard of a request that was read to its end.
    const asked = () => post('x'.repeat(100_000), { 'content-type': 'none' });
    expect((await asked()).status).toBe(400);
    const slow = Array.from({ length: 17 }, () => {
      const client = connect(socket).on('error', () => undefined);
      client.write(headOf(requestBytesMax));
      client.write(Buffer.alloc(requestBytesMax - 1));
      return client;
    });

    expect((await untilStatus(asked, 429)).headers['retry-after']).toBe('1');

    for (const client of slow) client.destroy();
    await untilStatus(asked, 400);
  });

  test('but takes what is no longer than a share of that, for anybody can fill it with what does not end', async () => {
    const { source, socket, post, listening } = setup({ comingBytesMax: connectionsMax * 100 });
    reading(source);
    await listening;
    const asked = (bytes: number) => post('x'.repeat(bytes), { 'content-type': 'none' });
    const slow = connect(socket);
    onTestFinished(() => void slow.destroy());

    slow.write(headOf(connectionsMax * 100) + 'x'.repeat(connectionsMax * 100 - 1));
    await untilStatus(() => asked(101), 429);

    expect((await asked(100)).status).toBe(400);
  });

  test.each([
    ['head', 'POST / HTTP/1.1\r\nhost: local'],
    ['body', 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nslow'],
  ])('says 408 to a request whose %s takes too long, and takes nothing of it', async (_part, begun) => {
    const requestTimeoutMs = 150;
    // By itself Node looks whether one took too long every half a minute. This one begins sooner, and we are to be sooner.
    const other = createServer({ requestTimeout: requestTimeoutMs });
    onTestFinished(() => void other.close());
    const otherSocket = join(temporaryDirectory(), 'other.sock');
    other.listen(otherSocket);
    await once(other, 'listening');
    const { source, socket, listening } = setup({ requestTimeoutMs });
    const read = reading(source);
    await listening;

    const answer = await Promise.race([
      answerTo(otherSocket, begun).then(() => 'the other was sooner'),
      answerTo(socket, begun),
    ]);

    expect(answer).toMatch(/^HTTP\/1\.1 408 /u);
    expect(read.messages).toEqual([]);
  });

  test('takes POST only', async () => {
    const { source, post } = setup();
    reading(source);

    expect((await post('', {}, 'GET')).status).toBe(405);
  });

  test('its socket has its mode, and goes with it', async () => {
    const { source, socket, listening } = setup();
    const read = reading(source);
    await listening;

    expect(statSync(socket).mode & 0o777).toBe(0o660);
    await read.stop();
    expect(() => statSync(socket)).toThrow('ENOENT');
  });

  test('says once that it cannot listen, and tries again', async () => {
    const clock = fakeClock();
    const events: LogEvent[] = [];
    const listen = join(temporaryDirectory(), 'not', 'there.sock');
    const log = (event: LogEvent) => events.push(event);
    const source = httpSource({ name: 'intake', listen, mode: '0600', clock, log });
    reading(source);

    await vi.waitFor(() => expect(events).toHaveLength(1), patient);
    expect(source.counts().failing).toBe('ENOENT');
    for (let each = 0; each < 10; each += 1) {
      await vi.waitFor(() => expect(clock.sleeping).toBe(1), patient);
      await clock.advance(5_000);
    }

    expect(events.map(({ name, fields }) => [name, fields['reason']])).toEqual([
      ['events.listen-failed', 'ENOENT'],
    ]);
    mkdirSync(dirname(listen));
    // The next wait may begin at any time: the folder is a real one.
    await vi.waitFor(async () => {
      await clock.advance(5_000);
      expect(source.counts().failing).toBeUndefined();
    }, patient);
  });

  test('whatever lines come in come out', async () => {
    const { source, post } = setup();
    const read = reading(source);
    const line = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((each) => !/[\r\n]/u.test(each));

    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 10 }), async (lines) => {
        read.messages.length = 0;

        await post(lines.join('\n'));

        expect(read.messages).toEqual(lines);
      }),
      { numRuns: 50 },
    );
  });
});

function headOf(bytes: number): string {
  return `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${bytes}\r\n\r\n`;
}

/** All that is answered to what is written, once the connection is closed. */
async function answerTo(socket: string, written: string): Promise<string> {
  const client = connect(socket);
  onTestFinished(() => void client.destroy());
  client.write(written);
  return text(client);
}

async function untilStatus(ask: () => Promise<Answer>, status: number): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (answer.status === status) return answer;
  }
}

test.each([
  { isTold: true, head: `content-length: ${8 * requestBytesMax}`, before: '', after: '' },
  { isTold: false, head: 'transfer-encoding: chunked', before: '800000\r\n', after: '\r\n0\r\n\r\n' },
])(
  'who sends far too much may send it to the end, and hears 413; its length is told: $isTold',
  async (told) => {
    const { source, socket, listening } = setup();
    reading(source);
    await listening;
    const client = connect(socket);
    onTestFinished(() => void client.destroy());
    const written = (bytes: string | Buffer): Promise<void> =>
      new Promise((resolve, reject) => {
        client.write(bytes, (error) => (error ? reject(error) : resolve()));
      });

    const lines = [
      'POST / HTTP/1.1',
      'host: localhost',
      'content-type: text/plain',
      told.head,
      '',
      told.before,
    ];
    await written(lines.join('\r\n'));
    for (let sent = 0; sent < 8 * requestBytesMax; sent += 2 ** 16) await written(Buffer.alloc(2 ** 16, 'x'));
    if (told.after !== '') await written(told.after);
    const [answer]: Buffer[] = await once(client, 'data');

    expect(answer?.toString()).toMatch(/^HTTP\/1\.1 413 /u);
  },
);
