/**
 * The program that the demo's agent serves: it reads its password from a file, as any program would, and writes a log
 * that is rotated by renaming while it works. Arguments: secret file, log file, number of lines.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, renameSync } from 'node:fs';
import { setTimeout as timeout } from 'node:timers/promises';

const [secretFile = '', logFile = '', count = '0'] = process.argv.slice(2);
const lines = Number(count);
const linesPerWrite = 100;
const pauseMs = 10;

const password = readFileSync(secretFile);
const fingerprint = createHash('sha256').update(password).digest('hex').slice(0, 12);
process.stdout.write(`read a password of ${password.length} bytes, sha256 ${fingerprint}…\n`);

for (let first = 0; first < lines; first += linesPerWrite) {
  if (first === Math.floor(lines / 2 / linesPerWrite) * linesPerWrite) renameSync(logFile, `${logFile}.1`);
  const block = Array.from(
    { length: Math.min(linesPerWrite, lines - first) },
    (_line, index) => `order ${first + index} accepted "grüße" after ${(first * 7 + index) % 97} ms\n`,
  );
  appendFileSync(logFile, block.join(''));
  await timeout(pauseMs);
}
process.stdout.write(`wrote ${lines} lines to ${logFile}, rotated it half-way\n`);
