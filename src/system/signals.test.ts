import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';

/** A process of its own, that signals can be sent to: it runs `body` with this module, and has printed `up`. */
async function setup(body: string) {
  const source = `
    import { hangUps, stopSignal } from ${JSON.stringify(new URL('./signals.ts', import.meta.url).href)};
    const alive = setInterval(() => undefined, 1000);
    ${body}
    console.log('up');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines = createInterface({ input: child.stdout });
  const printed: string[] = [];
  lines.on('line', (line) => printed.push(line));
  const said = async (): Promise<string> => {
    if (printed.length === 0) await once(lines, 'line');
    return printed.shift() ?? '';
  };
  expect(await said()).toBe('up');
  return {
    said,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Exit code, or the signal that ended it. */
    async ended(): Promise<unknown> {
      const [code, signal] = await exited;
      return code ?? signal;
    },
  };
}

const onStop = `
  const stop = stopSignal();
  stop.addEventListener('abort', () => console.log(stop.reason.name + ' ' + stop.reason.message));
`;

test.each(['SIGTERM', 'SIGINT'] as const)('the first %s asks to stop and ends nothing', async (signal) => {
  const child = await setup(onStop);

  child.kill(signal);

  expect(await child.said()).toBe(`StopRequested ${signal}`);
});

test('the second ends the process at once, with the code of a shell', async () => {
  const child = await setup(onStop);
  child.kill('SIGTERM');
  await child.said();

  child.kill('SIGINT');

  expect(await child.ended()).toBe(130);
});

test('each hang-up is one turn, and ends the process no more', async () => {
  const child = await setup(`
    const reloads = hangUps();
    const { signal } = new AbortController();
    let count = 0;
    (async () => { for (;;) { await reloads.next(signal); console.log('reload ' + (count += 1)); } })();
  `);

  child.kill('SIGHUP');
  expect(await child.said()).toBe('reload 1');
  child.kill('SIGHUP');
  expect(await child.said()).toBe('reload 2');
});

test('a hang-up that comes before anybody waits for one is not lost, and many are one', async () => {
  const child = await setup(`
    const reloads = hangUps();
    const { signal } = new AbortController();
    let isOver = false;
    process.on('SIGUSR2', async () => {
      // As Node hands them over; how many of twenty sent from outside arrive, and when, is the kernel's affair.
      for (let time = 0; time < 20; time += 1) process.emit('SIGHUP', 'SIGHUP');
      await reloads.next(signal);
      reloads.next(signal).then(() => { isOver = true; });
      setImmediate(() => console.log(isOver ? 'two' : 'one'));
    });
  `);

  child.kill('SIGUSR2');

  expect(await child.said()).toBe('one');
});

test('waiting for a hang-up ends with the reason of its signal; a hang-up after that ends nothing', async () => {
  const child = await setup(`
    const stop = new AbortController();
    const reloads = hangUps();
    process.on('SIGUSR2', () => stop.abort(new Error('stop asked for')));
    reloads.next(stop.signal).catch((error) => {
      console.log(error.message);
      process.on('SIGHUP', () => console.log('still here'));
    });
  `);

  child.kill('SIGUSR2');
  expect(await child.said()).toBe('stop asked for');
  child.kill('SIGHUP');

  expect(await child.said()).toBe('still here');
});
