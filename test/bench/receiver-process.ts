import { createServer } from 'node:http';

// Answers every call as CloudWatch Logs answers PutLogEvents, verifies nothing and looks only at the end of a body.
// argv: the text that the last line has, and "count" to count the events of stream `app`, for a run that is not timed.
const [lastLine = '', mode] = process.argv.slice(2);
const endBytes = 1024;
const headBytes = 256;
const event = '"timestamp":';
const total = { events: 0, bytes: 0, calls: 0 };

/** Ends the measurement with the body that ends in the last line. */
function finishAt(end: Buffer): void {
  if (!end.includes(lastLine, Math.max(0, end.length - endBytes))) return;
  process.stdout.write(`last ${JSON.stringify(total)}\n`);
}

function count(body: Buffer): void {
  if (!body.subarray(0, headBytes).includes('"logStreamName":"app"')) return;
  total.bytes += body.length;
  total.calls += 1;
  for (let at = body.indexOf(event); at >= 0; at = body.indexOf(event, at + 1)) total.events += 1;
}

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  let end: Buffer = Buffer.alloc(0);
  request.on('data', (piece: Buffer) => {
    if (mode === 'count') pieces.push(piece);
    end = piece.length >= endBytes ? piece : Buffer.concat([end.subarray(-endBytes), piece]);
  });
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1', 'content-length': 2 }).end('{}');
    if (mode === 'count') count(Buffer.concat(pieces));
    finishAt(end);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.stdout.write(`port ${address.port}\n`);
});
