import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { eventually, type Host, numbered, setup } from '../support/host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const built = fileURLToPath(new URL('../../dist/gatehouse.mjs', import.meta.url));
const enter = '\u001b[?1049h';
const leave = '\u001b[?25h\u001b[?1049l';

/** `gatehouse top` on a terminal, which script(1) makes; `stty -a` tells afterwards how it was left. */
function onTerminal(host: Host) {
  const command = `exec 2>&1; ${process.execPath} ${built} top --interval 0.2; echo "code $?"; stty -a`;
  const child = spawn('script', ['-qfec', command, '/dev/null'], {
    env: {
      PATH: process.env['PATH'],
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      GATEHOUSE_RUNTIME_DIRECTORY: host.runtimeDirectory,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let output = '';
  child.stdout.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  const ended = once(child, 'close').then(() => output);
  return {
    type: (keys: string) => child.stdin.write(keys),
    /** Waits until the screen has shown this since the start. */
    shown: (text: string) => eventually(text, () => (output.includes(text) ? output : undefined)),
    ended,
  };
}

describe('gatehouse top', () => {
  it('in a pipe is one snapshot with rates, and one object with --json', async () => {
    const host = await setup();
    await host.started();
    host.log(numbered(100));
    await host.arrived(100);
    // What the worker counted it tells a little later.
    await eventually('the agent says so', async () =>
      (await host.status()).events?.sources.some(({ name, events }) => name === 'app' && events === 100),
    );

    const text = await host.run(['top', '--interval', '0.2']);
    const json = await host.run(['top', '--interval', '0.2', '--json']);

    expect({ code: text.code, stderr: text.stderr }).toEqual({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(/^gatehouse web-1 {2}ready {2}up \d+ (?:s|min(?: \d+ s)?), pid \d+, /u);
    expect(text.stdout).toMatch(/^app +0 +0 B\/s +0 B +100 +1$/mu);
    expect(text.stdout).not.toContain('\u001b');
    expect(JSON.parse(json.stdout)).toMatchObject({
      time: expect.stringMatching(/^\d{4}-/u),
      rates: { sources: [{ name: 'app', eventsPerSecond: 0 }, { name: 'agent' }] },
      status: { state: 'ready', name: 'web-1' },
    });
  });

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
    ['Escape', '\u001b'],
  ])('on a terminal is redrawn until %s, and gives the terminal back', async (_name, key) => {
    const host = await setup();
    await host.started();
    const top = onTerminal(host);
    await top.shown('q quits');
    host.log(numbered(123));

    await top.shown(' 123 ');
    top.type(key);
    const output = await top.ended;

    expect(output.startsWith(enter)).toBe(true);
    expect(output.split(enter)).toHaveLength(2);
    const [, after = ''] = output.split(leave);
    expect(after).toMatch(/^code 0\r\n/u);
    expect(after).toMatch(/ icanon /u);
    expect(after).toMatch(/ echo /u);
  });

  it('stays when the agent goes, says so, and is there again when it is', async () => {
    const host = await setup();
    const agent = await host.started();
    const top = onTerminal(host);
    await top.shown('q quits');

    await agent.stop();
    await top.shown('the agent does not answer: AGENT_NOT_RUNNING');
    const { pid } = await host.started();
    await top.shown(`pid ${pid}`);
    top.type('q');

    expect(await top.ended).toContain(`${leave}code 0`);
  });

  it('without an agent says so on a terminal that it never took', async () => {
    const env = { GATEHOUSE_RUNTIME_DIRECTORY: temporaryDirectory() };

    const { code, stdout, stderr } = await gatehouse(['top'], { env });

    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(stderr).toContain('(AGENT_NOT_RUNNING)');
    expect((await gatehouse(['top', '--interval', 'often'], { env })).code).toBe(64);
  });
});
