import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { unminded, watchOutput } from './output.ts';

/** A process whose stdout fails with this errno, once it is written to. */
function setup(errno?: string) {
  const written: string[] = [];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done(errno === undefined ? null : Object.assign(new Error('no'), { code: errno }));
    },
  });
  const stderr = new Writable({ write: (_chunk, _encoding, done) => done(new Error('nobody listens')) });
  return {
    written,
    stdout,
    stderr: unminded(stderr as NodeJS.WriteStream),
    output: watchOutput({ stdout: stdout as NodeJS.WriteStream }),
  };
}

test('what was written is there once it is flushed', async () => {
  const { written, stdout, output } = setup();
  stdout.write('data');

  await output.flushed();

  expect(written.join('')).toBe('data');
});

test('a reader that has gone away is no failure', async () => {
  const { stdout, output } = setup('EPIPE');
  stdout.write('data');

  await expect(output.flushed()).resolves.toBeUndefined();
});

test('output that cannot be written is one', async () => {
  const { stdout, output } = setup('ENOSPC');
  stdout.write('data');

  await expect(output.flushed()).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE', row: { exitCode: 73 } });
});

test('it stays one when the stream is closed by the time it is flushed', async () => {
  const { stdout, output } = setup('ENOSPC');
  stdout.write('data');
  await new Promise((resolve) => {
    stdout.once('close', resolve);
  });

  await expect(output.flushed()).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
});

test('a stderr that nobody reads ends nothing', async () => {
  const { stderr, output } = setup();

  stderr.write('talk');

  await expect(output.flushed()).resolves.toBeUndefined();
});
