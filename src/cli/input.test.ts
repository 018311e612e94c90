import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { inputBytes } from './input.ts';

function setup(...pieces: readonly string[]) {
  const stdin = Readable.from(pieces.map((piece) => Buffer.from(piece))) as unknown as NodeJS.ReadStream;
  return { directory: temporaryDirectory(), stdin };
}

test('- is standard input, to its end', async () => {
  expect((await inputBytes('-', 100, setup('one', 'two'))).toString()).toBe('onetwo');
  expect((await inputBytes('-', 100, setup())).length).toBe(0);
});

test('any other name is a file, byte by byte', async () => {
  const { directory, stdin } = setup('not this');
  const file = join(directory, 'secret');
  const bytes = Buffer.from([0, 255, 10, 13]);
  writeFileSync(file, bytes);

  expect(await inputBytes(file, 4, { stdin })).toEqual(bytes);
});

test('what was read piece by piece is overwritten, also when it is refused', async () => {
  for (const bytesMax of [100, 5]) {
    const pieces = [Buffer.from('one'), Buffer.from('two')];
    const stdin = Readable.from(pieces) as unknown as NodeJS.ReadStream;

    await inputBytes('-', bytesMax, { stdin }).catch(() => undefined);

    expect(Buffer.concat(pieces)).toEqual(Buffer.alloc(6));
  }
});

test('more than the bound is refused', async () => {
  await expect(inputBytes('-', 5, setup('one', 'two'))).rejects.toMatchObject({
    code: 'INPUT_TOO_LARGE',
    details: { bytesMax: 5 },
  });
});

test('a file that is not there, and a directory, are missing input', async () => {
  const { directory, stdin } = setup();

  for (const file of [join(directory, 'absent'), directory]) {
    await expect(inputBytes(file, 5, { stdin })).rejects.toMatchObject({
      code: 'INPUT_MISSING',
      details: { file },
      row: { exitCode: 66 },
    });
  }
});
