import type { Letters } from '../agent/events/dead-letters.ts';
import { eventsError } from '../events/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';
import { launchOf } from './launch.ts';
import { rowsText, tableText } from './rows.ts';

const ids = {
  ids: { type: 'string', describe: 'Numbers of events, as list shows them: 7 or 3,5,9' },
} as const;

const all = {
  all: { type: 'boolean', describe: 'All events that are there', default: false },
} as const;

const listCommand = command({
  usage: 'list',
  summary: 'List the events that CloudWatch Logs refused, oldest first',
  options: {},
  async run(args, invocation) {
    const { listLetters } = await import('../agent/events/dead-letters.ts');
    const page = await listLetters(launchOf(args, invocation), stopSignal());
    if (args.json) {
      invocation.stdout.write(`${JSON.stringify(page)}\n`);
      return 0;
    }
    const rows = page.letters.map(({ id, stream, reason, refusedMs, bytes }) => [
      String(id),
      reason,
      new Date(refusedMs).toISOString(),
      String(bytes),
      `${stream.logGroup}:${stream.logStream}`,
    ]);
    invocation.stdout.write(tableText(['ID', 'REASON', 'REFUSED', 'BYTES', 'STREAM'], rows));
    return 0;
  },
});

const showCommand = command({
  usage: 'show <id>',
  summary: 'Show a refused event as it was; that is audited',
  options: {},
  positionals: {
    id: { type: 'string', describe: 'Number of the event, as list shows it', demandOption: true },
  },
  async run(args, invocation) {
    if (!/^[1-9]\d{0,14}$/u.test(args.id)) throw eventsError('EVENTS_LETTERS_UNNAMED');
    const { showLetter } = await import('../agent/events/dead-letters.ts');
    const letter = await showLetter(launchOf(args, invocation), Number(args.id), stopSignal());
    const { stream, reason, refusedMs, timestamp, message } = letter;
    const text = rowsText([
      ['id', String(letter.id)],
      ['stream', `${stream.logGroup}:${stream.logStream}`],
      ['reason', reason],
      ['refused', new Date(refusedMs).toISOString()],
      ['time', new Date(timestamp).toISOString()],
      ['message', message],
    ]);
    invocation.stdout.write(args.json ? `${JSON.stringify(letter)}\n` : text);
    return 0;
  },
});

const retryCommand = command({
  usage: 'retry [ids]',
  summary: 'Send refused events again; one that is refused once more is there again, with a new number',
  options: {
    ...all,
    now: { type: 'boolean', describe: 'With the time of now: for those that are too old', default: false },
  },
  positionals: ids,
  async run(args, invocation) {
    const { retryLetters } = await import('../agent/events/dead-letters.ts');
    const launch = launchOf(args, invocation);
    const done = await retryLetters(launch, lettersOf(args.ids, args.all), args.now, stopSignal());
    const text = `${done.ids.length} events are sent again\n`;
    invocation.stdout.write(args.json ? `${JSON.stringify(done)}\n` : text);
    return 0;
  },
});

const dropCommand = command({
  usage: 'drop [ids]',
  summary: 'Drop refused events for good',
  options: all,
  positionals: ids,
  async run(args, invocation) {
    const { dropLetters } = await import('../agent/events/dead-letters.ts');
    const done = await dropLetters(launchOf(args, invocation), lettersOf(args.ids, args.all), stopSignal());
    const text = `${done.ids.length} events were dropped\n`;
    invocation.stdout.write(args.json ? `${JSON.stringify(done)}\n` : text);
    return 0;
  },
});

const deadLetterCommand = command({
  usage: 'dead-letter',
  summary: 'What CloudWatch Logs refused',
  options: {},
  subcommands: [listCommand, showCommand, retryCommand, dropCommand],
  run: () => Promise.resolve(0),
});

const testCommand = command({
  usage: 'test',
  summary: 'Send one marked event through the running agent, and say when CloudWatch Logs took it',
  options: {
    source: {
      type: 'string',
      describe: 'Send it where the events of this source go; the first source where not given',
      requiresArg: true,
    },
  },
  async run(args, invocation) {
    const { testEvents } = await import('../agent/events/dead-letters.ts');
    const sent = await testEvents(launchOf(args, invocation), args.source, stopSignal());
    const text = rowsText([
      ['taken after', `${sent.tookMs} ms`],
      ['stream', `${sent.logGroup}:${sent.logStream}`],
      ['message', sent.message],
    ]);
    invocation.stdout.write(args.json ? `${JSON.stringify(sent)}\n` : text);
    return 0;
  },
});

/** `gatehouse events`: what became of events, asked of the running agent. */
export const eventsCommand = command({
  usage: 'events',
  summary: 'Events that CloudWatch Logs refused, and a test of the way there',
  options: {},
  subcommands: [testCommand, deadLetterCommand],
  run: () => Promise.resolve(0),
});

/** @throws EVENTS_LETTERS_UNNAMED: dropping all must be meant */
function lettersOf(named: string | undefined, isAll: boolean): Letters {
  const isNamed = named !== undefined && /^[1-9]\d{0,14}(?:,[1-9]\d{0,14})*$/u.test(named);
  if (named === undefined && isAll) return 'all';
  if (!isNamed || isAll) throw eventsError('EVENTS_LETTERS_UNNAMED');
  return named.split(',').map(Number);
}
