import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

// Answers every call as CloudWatch Logs answers PutLogEvents and verifies nothing. Without more than --last it looks
// only at the end of a body: what it does else takes it time, which its figures say.
const { values } = parseArgs({
  options: {
    // What ends the measurement, when it has come so often.
    last: { type: 'string', default: '' },
    times: { type: 'string', default: '1' },
    // Counts the events of stream `app`, for a run that is not timed.
    count: { type: 'boolean', default: false },
    // Notes how old each line is that says when it was written.
    ages: { type: 'boolean', default: false },
    // Looks at whole bodies.
    read: { type: 'boolean', default: false },
    // Answers 503 until a line comes on stdin.
    closed: { type: 'boolean', default: false },
    key: { type: 'string' },
    certificate: { type: 'string' },
  },
});
const { last, count: counts, ages: notesAges } = values;
const endBytes = 1024;
const headBytes = 256;
const event = '"timestamp":';
const total = { events: 0, bytes: 0, calls: 0 };
const ages: number[] = [];
let isClosed = values.closed;
let left = Number(values.times);
const readsAll = values.read || counts || notesAges || left > 1;

/** Ends the measurement with the body that holds the last of the last lines. */
function finish(times: number): void {
  if (times === 0 || left <= 0) return;
  left -= times;
  if (left > 0) return;
  ages.sort((one, other) => one - other);
  const at = (share: number): number => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? 0;
  const shown = notesAges ? { ageMs: { p50: at(0.5), p99: at(0.99), max: at(1) } } : {};
  process.stdout.write(`last ${JSON.stringify({ ...total, ...shown })}\n`);
}

function timesIn(body: Buffer, text: string): number {
  let times = 0;
  for (let at = body.indexOf(text); at >= 0; at = body.indexOf(text, at + 1)) times += 1;
  return times;
}

function count(body: Buffer, wireBytes: number): void {
  if (!body.subarray(0, headBytes).includes('"logStreamName":"app"')) return;
  total.bytes += wireBytes;
  total.calls += 1;
  if (counts) total.events += timesIn(body, event);
}

function noteAges(body: Buffer): void {
  const nowMs = performance.timeOrigin + performance.now();
  for (const [, atMs] of body.toString('latin1').matchAll(/ written=([\d.]+) /gu))
    ages.push(nowMs - Number(atMs));
}

const take: RequestListener = (request, response) => {
  const pieces: Buffer[] = [];
  const isSqueezed = request.headers['content-encoding'] === 'gzip';
  let end: Buffer = Buffer.alloc(0);
  request.on('data', (piece: Buffer) => {
    if (readsAll || isSqueezed) pieces.push(piece);
    end = piece.length >= endBytes ? piece : Buffer.concat([end.subarray(-endBytes), piece]);
  });
  request.on('end', () => {
    if (isClosed) {
      response.writeHead(503, { 'content-length': 0 }).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': 2 }).end('{}');
    if (total.calls === 0 && values.closed) process.stdout.write('first\n');
    if (!readsAll && !isSqueezed) {
      total.calls += 1;
      finish(end.includes(last, Math.max(0, end.length - endBytes)) ? 1 : 0);
      return;
    }
    const wire = Buffer.concat(pieces);
    const body = isSqueezed ? gunzipSync(wire) : wire;
    if (notesAges) noteAges(body);
    count(body, wire.length);
    finish(timesIn(body, last));
  });
};

process.stdin.once('data', () => {
  isClosed = false;
});
const { key, certificate } = values;
const server =
  key === undefined || certificate === undefined
    ? createServer(take)
    : createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, take);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.stdout.write(`port ${address.port}\n`);
});
