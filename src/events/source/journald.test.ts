import { describe, expect, test, vi } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { patient } from '../../../test/support/patience.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { eventSourceContract, reading } from '../event-source.contract.ts';
import { wake } from '../wake.ts';
import { type JournaldSourceOptions, journaldSource } from './journald.ts';

const pipeBytes = 64 * 1024;
/** An hour before the clock of these tests starts. */
const writtenMs = Date.UTC(2026, 10, 22, 11);

/** A journal in memory, and a journalctl that follows it. */
function journal() {
  const entries: { readonly cursor: string; readonly text: Buffer }[] = [];
  const calls: (readonly string[])[] = [];
  const bell = wake();
  let crash: string | undefined;
  /** What the next journalctl writes to its standard error. */
  const said: Buffer[] = [];
  /** How many there have been. */
  let written = 0;

  /** As journalctl does it: where the entry of a cursor is gone, the next is taken for it. */
  function firstOf(argv: readonly string[]): number {
    const valueOf = (flag: string) => argv.find((each) => each.startsWith(flag))?.slice(flag.length);
    const after = valueOf('--after-cursor=');
    const cursor = after ?? valueOf('--cursor=');
    if (cursor === undefined) return 0;
    const at = entries.findIndex((entry) => entry.cursor === cursor);
    return Math.max(0, at) + (after === undefined ? 0 : 1);
  }

  async function* follow(
    argv: readonly string[],
    signal: AbortSignal,
    onSaid: (bytes: Buffer) => void,
  ): AsyncGenerator<Buffer> {
    calls.push(argv);
    for (const bytes of said.splice(0)) onSaid(bytes);
    let next = firstOf(argv);
    while (!signal.aborted) {
      if (crash !== undefined) {
        const code = crash;
        crash = undefined;
        throw Object.assign(new Error('it crashed'), { code });
      }
      const found = entries[next];
      if (found === undefined) {
        await bell.rung(signal);
        continue;
      }
      next += 1;
      for (let at = 0; at < found.text.length; at += pipeBytes) yield found.text.subarray(at, at + pipeBytes);
    }
  }

  return {
    calls,
    follow,
    say: (...parts: readonly string[]): void => void said.push(...parts.map((part) => Buffer.from(part))),
    crash: (code: string): void => {
      crash = code;
      bell.ring();
    },
    write: (message: string, fields = ''): void => {
      written += 1;
      const cursor = `s=ab;i=${written.toString(16)}`;
      const head = `__CURSOR=${cursor}\n__REALTIME_TIMESTAMP=${writtenMs}123\n`;
      entries.push({ cursor, text: Buffer.from(`${head}MESSAGE=${message}\n${fields}\n`, 'latin1') });
      bell.ring();
    },
    vacuum: (): void => void entries.splice(0),
  };
}

function setup(options: Partial<JournaldSourceOptions> = {}) {
  const log = journal();
  const clock = fakeClock();
  const events: LogEvent[] = [];
  const newSource = () =>
    journaldSource({
      name: 'journal',
      since: 'boot',
      fields: ['MESSAGE'],
      follow: log.follow,
      clock,
      log: (event) => events.push(event),
      ...options,
    });
  const fields = (name: string) => events.filter((event) => event.name === name).map((event) => event.fields);
  return { ...log, clock, newSource, fields, names: () => events.map(({ name }) => name) };
}

const redacted = (bytes: Buffer): Buffer => Buffer.from(bytes.toString().replaceAll('hunter2', '[secret]'));

eventSourceContract('journaldSource', () => {
  const { newSource, clock, write } = setup();
  return {
    source: newSource(),
    clock,
    writtenMs,
    async write(lines) {
      for (const line of lines) write(line);
    },
  };
});

describe('a journald source', () => {
  test('goes on after its cursor', async () => {
    const { newSource, clock, write, calls } = setup();
    write('one');
    const first = reading(newSource());
    await clock.advance(0);
    await first.stop();
    write('two');

    const second = reading(newSource(), first.positions);
    await clock.advance(0);

    expect(second.messages).toEqual(['two']);
    expect(calls.map((argv) => argv.find((each) => /^--(?:since|cursor)/u.test(each)))).toEqual([
      expect.stringMatching(/^--since=@\d+$/u),
      '--cursor=s=ab;i=1',
    ]);
  });

  test('loses nothing where the entry of its cursor was vacuumed away', async () => {
    const { newSource, clock, write, vacuum } = setup();
    write('one');
    const first = reading(newSource());
    await clock.advance(0);
    await first.stop();
    vacuum();
    write('two');
    write('three');

    const second = reading(newSource(), first.positions);
    await clock.advance(0);

    expect(second.messages).toEqual(['two', 'three']);
  });

  test('asks for what the config says', async () => {
    const { newSource, clock, calls } = setup({
      units: ['nginx.service'],
      identifiers: ['sshd'],
      priority: 'notice',
      directory: '/var/log/journal/remote',
      since: 'oldest',
      fields: ['MESSAGE', '_PID'],
    });
    reading(newSource());
    await clock.advance(0);

    expect(calls).toEqual([
      [
        'journalctl',
        '--follow',
        '--no-tail',
        '--merge',
        '--boot=all',
        '--all',
        '--quiet',
        '--output=export',
        '--output-fields=MESSAGE,_PID',
        '--unit=nginx.service',
        '--identifier=sshd',
        '--priority=notice',
        '--directory=/var/log/journal/remote',
      ],
    ]);
  });

  test('several fields are JSON, in the order of the config, whatever their bytes are', async () => {
    const { newSource, clock, write } = setup({ fields: ['_PID', 'MESSAGE', 'ABSENT'] });
    write('a "quoted" \xff \xc3\xbc', '_PID=42\n');
    const read = reading(newSource());
    await clock.advance(0);

    expect(read.messages.map((each) => JSON.parse(each))).toEqual([
      { _PID: '42', MESSAGE: 'a "quoted" \uefff ü' },
    ]);
  });

  test('leaves out the entries of other machines', async () => {
    const { newSource, clock, calls } = setup({ machineId: 'ab'.repeat(16) });
    reading(newSource());
    await clock.advance(0);

    expect(calls[0]?.at(-1)).toBe(`_MACHINE_ID=${'ab'.repeat(16)}`);
  });

  test('does not hand a cursor on to the command that is none', async () => {
    const { newSource, clock, calls } = setup();
    reading(newSource(), new Map([['cursor', '--root=/x']]));
    await clock.advance(0);

    expect(calls[0]).toContainEqual(expect.stringMatching(/^--since=@\d+$/u));
    expect(calls[0]?.join(' ')).not.toContain('root');
  });

  test('starts the command again when it ends, says so once, and that it is over', async () => {
    const { newSource, clock, write, crash, names } = setup();
    write('one');
    const read = reading(newSource());
    await clock.advance(0);
    crash('COMMAND_FAILED');
    await clock.advance(60_000);
    write('two');

    await vi.waitFor(async () => {
      await clock.advance(60_000);
      expect(read.messages).toEqual(['one', 'two']);
    }, patient);

    expect(names()).toEqual(['events.journal-failed', 'events.journal-recovered']);
  });

  test.each<[string, readonly string[], string | undefined]>([
    ['its last line', ['Hint: you are not allowed\n', 'No such ', 'directory\n'], 'No such directory'],
    ['a last line without end', ['one\ntwo'], 'two'],
    ['blank lines after it', ['one\n\n \t\n'], 'one'],
    ['control characters', ['\u001b[31mred\u0007\r\n'], '[31mred'],
    ['secrets', ['password hunter2 refused\n'], 'password [secret] refused'],
    ['a long line', [`${'é'.repeat(100_000)}\n`], `${'é'.repeat(200)}…`],
    ['nothing', [], undefined],
  ])('tells what journalctl said when it failed: %s', async (_what, parts, expected) => {
    const { newSource, clock, say, crash, fields } = setup({ redacted });
    say(...parts);
    reading(newSource());
    await clock.advance(0);

    crash('COMMAND_FAILED');
    await clock.advance(0);

    expect(fields('events.journal-failed')).toEqual([
      { source: 'journal', reason: 'COMMAND_FAILED', said: expected },
    ]);
  });

  test('tells of the journalctl that failed, not of those before it', async () => {
    const { newSource, clock, say, crash, fields } = setup({ redacted: (bytes) => bytes });
    say('of the first\n');
    reading(newSource());
    await clock.advance(0);
    crash('COMMAND_FAILED');
    await clock.advance(60_000);

    crash('COMMAND_FAILED');
    await clock.advance(0);

    expect(fields('events.journal-failed').map(({ said }) => said)).toEqual(['of the first', undefined]);
  });

  test('tells nothing of what journalctl said where nothing takes secrets out of it', async () => {
    const { newSource, clock, say, crash, fields } = setup();
    say('anything\n');
    reading(newSource());
    await clock.advance(0);

    crash('COMMAND_FAILED');
    await clock.advance(0);

    expect(fields('events.journal-failed').map(({ said }) => said)).toEqual([undefined]);
  });

  test('is failing until the command runs again, though there is nothing to read', async () => {
    const { newSource, clock, crash, names } = setup();
    const source = newSource();
    reading(source);
    await clock.advance(0);
    crash('COMMAND_FAILED');
    await clock.advance(0);
    expect(source.counts().failing).toBe('COMMAND_FAILED');

    await clock.advance(60_000);

    expect(source.counts().failing).toBeUndefined();
    expect(names()).toEqual(['events.journal-failed', 'events.journal-recovered']);
  });

  test('leaves out an entry that is too long, says so, and goes on after it', async () => {
    const { newSource, clock, write, names } = setup();
    write('one');
    write('x'.repeat(9 * 2 ** 20));
    write('three');
    const read = reading(newSource());

    await vi.waitFor(async () => {
      await clock.advance(1);
      expect(read.messages.length).toBeGreaterThanOrEqual(2);
    }, patient);

    expect(names()).toEqual(['events.entry-skipped']);
    expect(read.messages).toEqual(['one', 'three']);
  });
});
