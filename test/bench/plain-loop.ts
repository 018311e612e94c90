import { isUtf8 } from 'node:buffer';
import { createHash, createHmac, hash } from 'node:crypto';
import { openSync, readFileSync, readSync } from 'node:fs';
import { Agent, request as overHttp } from 'node:http';
import { request as overTls, Agent as TlsAgent } from 'node:https';
import { setTimeout as timeout } from 'node:timers/promises';

// What the agent is held against: reads a file by the chunk, makes each a PutLogEvents body by one JSON.stringify,
// signs it, sends it. It keeps nothing, tries nothing again, knows one file and one stream, and bounds only how many
// calls are under way. argv: URL, files (joined by colons, read one after the other), text of the last line of each,
// "encoded" to send the first body again and again, file of the authority where the URL is https.
const [url = '', paths = '', lastLine = '', mode, caFile = ''] = process.argv.slice(2);

/** With 26 for each event of 200 bytes it stays below PutLogEvents' 1,048,576. */
const chunkBytes = 880_000;
const callsMax = 4;
const pollMs = 50;
const region = 'eu-west-1';
const kept = { keepAlive: true, maxSockets: callsMax };
const agent = caFile === '' ? new Agent(kept) : new TlsAgent({ ...kept, ca: readFileSync(caFile) });
const request = caFile === '' ? overHttp : overTls;

const signingKey = ['20261122', region, 'logs', 'aws4_request'].reduce<Buffer>(
  (key, part) => createHmac('sha256', key).update(part).digest(),
  Buffer.from('AWS4a secret access key of forty characters x'),
);

function encode(bytes: Buffer): Buffer {
  if (!isUtf8(bytes)) throw new Error('lines are UTF-8 here');
  const text = bytes.toString('latin1', 0, bytes.length - 1);
  const head = '{"logGroupName":"/gatehouse/web-1","logStreamName":"app","logEvents":[{"timestamp":';
  const nowMs = Date.now();
  const events = JSON.stringify(text).replaceAll('\\n', `"},{"timestamp":${nowMs},"message":"`);
  return Buffer.from(`${head}${nowMs},"message":${events}}]}`, 'latin1');
}

function signed(body: Buffer): Record<string, string> {
  const date = new Date().toISOString().replaceAll(/[-:]|\.\d+/gu, '');
  const target = 'Logs_20140328.PutLogEvents';
  const names = 'content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target';
  const digest = hash('sha256', body, 'hex');
  const { host } = new URL(url);
  const canonical = `POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:${host}\nx-amz-content-sha256:${digest}\nx-amz-date:${date}\nx-amz-target:${target}\n\n${names}\n${digest}`;
  const scope = `20261122/${region}/logs/aws4_request`;
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
  const signature = createHmac('sha256', signingKey).update(toSign).digest('hex');
  return {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-date': date,
    'x-amz-target': target,
    'x-amz-content-sha256': digest,
    authorization: `AWS4-HMAC-SHA256 Credential=AKIABENCH/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

function send(body: Buffer, headers: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method: 'POST',
      agent,
      headers: { ...headers, 'content-length': String(body.length) },
    });
    call.on('response', (answer) => answer.resume().on('end', resolve));
    call.on('error', reject);
    call.end(body);
  });
}

/** Chunks of whole lines; waits for more at the end of the file until the last line was there. */
async function* chunks(path: string): AsyncGenerator<Buffer> {
  const file = openSync(path, 'r');
  const buffer = Buffer.allocUnsafeSlow(chunkBytes);
  for (let offset = 0; ; ) {
    const got = readSync(file, buffer, 0, chunkBytes, offset);
    const end = buffer.lastIndexOf('\n', got - 1) + 1;
    if (got === 0 || end <= 0 || end > got) {
      await timeout(pollMs);
      continue;
    }
    offset += end;
    const chunk = buffer.subarray(0, end);
    yield chunk;
    if (chunk.includes(lastLine, Math.max(0, end - 1024))) return;
  }
}

async function run(): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const put = async (body: Buffer, headers: Record<string, string>): Promise<void> => {
    const call = send(body, headers).finally(() => underWay.delete(call));
    underWay.add(call);
    if (underWay.size >= callsMax) await Promise.race(underWay);
  };
  let first: { body: Buffer; headers: Record<string, string> } | undefined;
  for (const path of paths.split(':')) {
    for await (const chunk of chunks(path)) {
      const isLast = chunk.includes(lastLine, Math.max(0, chunk.length - 1024));
      if (mode === 'encoded' && first !== undefined && !isLast) await put(first.body, first.headers);
      else {
        const body = encode(chunk);
        first ??= { body, headers: signed(body) };
        await put(body, signed(body));
      }
    }
  }
  await Promise.all(underWay);
}

process.stdout.write('ready\n');
process.stdin.once('data', () => {
  void run().then(() => process.stdout.write('done\n'));
});
