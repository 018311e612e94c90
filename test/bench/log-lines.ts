import { closeSync, openSync, writeSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';

const paths = [
  '/api/v2/orders',
  '/api/v2/orders/items',
  '/api/v2/customers',
  '/health',
  '/login',
  '/static/app.js',
  '/api/v2/payments/authorize',
  '/search',
];
const methods = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE'];
const statuses = [200, 200, 200, 200, 201, 204, 301, 400, 404, 500];
const agents = [
  'Mozilla/5.0 (X11; Linux x86_64)',
  'curl/8.5.0',
  'okhttp/4.12.0',
  'kube-probe/1.31',
  'python-requests/2.32',
];

/** Lines of about 200 bytes that compress as those of a web server do. The same at each call: seeded. */
export function* logLines(seed = 1): Generator<string> {
  let state = seed;
  // Numerical Recipes' linear congruential generator: enough for lines that are not all alike.
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const oneOf = <T>(list: readonly T[]): T => list[next(list.length)] as T;
  const hex = (digits: number): string =>
    next(16 ** digits)
      .toString(16)
      .padStart(digits, '0');
  let at = Date.UTC(2026, 10, 22);
  for (;;) {
    at += next(20);
    const client = `10.${next(4)}.${next(256)}.${next(256)}`;
    yield `${new Date(at).toISOString()} ${client} "${oneOf(methods)} ${oneOf(paths)}/${next(100_000)} HTTP/1.1" ${oneOf(statuses)} ${next(50_000)} ${next(900)}ms trace=${hex(8)} user=${next(5000)} session=${hex(6)} region=eu "${oneOf(agents)}" upstream=app-${next(12)} cache=${oneOf(['hit', 'miss', 'pass'])} pool=eu-west-1${oneOf(['a', 'b', 'c'])}`;
  }
}

/** JSON lines of a kilobyte, as a service logs its requests. */
function* jsonLines(seed: number): Generator<string> {
  const words = 'order customer payment item basket delivery address invoice refund voucher'.split(' ');
  for (const line of logLines(seed)) {
    const rest = Array.from({ length: 9 }, (_, index) => [
      `${words[index % words.length]}_${index}`,
      { id: line.slice(index * 7, index * 7 + 12), note: line.slice(60 + index, 110 + index) },
    ]);
    yield JSON.stringify({
      time: line.slice(0, 24),
      level: 'info',
      message: line.slice(25),
      ...Object.fromEntries(rest),
    });
  }
}

/** What a Java service logs when it fails: a line, a trace of 20 frames, and what caused it. */
function* stackLines(seed: number): Generator<string> {
  let number = 0;
  for (const line of logLines(seed)) {
    number += 1;
    yield `${line.slice(0, 24)} ERROR [worker-${number % 8}] c.e.orders.OrderService - ${line.slice(25, 90)}`;
    yield `java.lang.IllegalStateException: order ${number} of ${line.slice(30, 44)} is not open`;
    for (let frame = 0; frame < 20; frame += 1) {
      yield `\tat com.example.orders.layer${frame}.Handler$${number % 97}.invoke(Handler.java:${(number * 31 + frame * 17) % 900})`;
    }
    yield `Caused by: java.sql.SQLException: connection ${number % 1000} was closed`;
    yield '\t... 12 more';
  }
}

const kinds = { access: logLines, json: jsonLines, stacks: stackLines } as const;

export type LineKind = keyof typeof kinds;

const pieceBytes = 1 << 20;

/** Lines of at least `bytes`, as one text. */
export function logText(bytes: number, seed = 1, kind: LineKind = 'access'): string {
  const lines: string[] = [];
  let length = 0;
  for (const line of kinds[kind](seed)) {
    lines.push(line);
    length += line.length + 1;
    if (length >= bytes) break;
  }
  return `${lines.join('\n')}\n`;
}

export interface LogFile {
  readonly bytes: number;
  readonly lines: number;
  /** How many times zstd, level 1, makes it smaller. */
  readonly compression: number;
}

/** Writes a file of about `bytes`; `lastLine` is its last. */
export function writeLogFile(
  path: string,
  bytes: number,
  lastLine: string,
  kind: LineKind = 'access',
): LogFile {
  const file = openSync(path, 'wx');
  let written = 0;
  let lines = 0;
  let compression = 0;
  try {
    for (let seed = 1; written < bytes; seed += 1) {
      const text = logText(Math.min(pieceBytes, bytes - written), seed, kind);
      if (seed === 1) compression = text.length / zstdCompressSync(text, { params: { 100: 1 } }).length;
      written += writeSync(file, text);
      lines += text.split('\n').length - 1;
    }
    written += writeSync(file, `${lastLine}\n`);
    return { bytes: written, lines: lines + 1, compression };
  } finally {
    closeSync(file);
  }
}
