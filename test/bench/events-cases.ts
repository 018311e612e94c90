import { shipping } from './events.ts';
import type { Bench } from './measure.ts';

const aim = { mostCpu: 1.6 };

/** `events` is the usual one; the others are measured by name. */
export const eventsBenches: readonly Bench[] = [
  shipping({ name: 'events', summary: 'a file of 200-byte lines, from the disk to CloudWatch Logs', ...aim }),
  ...[
    { name: 'events-tls', summary: 'the same over TLS', isTls: true, ...aim },
    { name: 'events-json', summary: 'a file of JSON lines of 1 KB', lines: 'json' as const },
    { name: 'events-50-files', summary: '50 files of 200-byte lines', files: 50 },
    {
      name: 'events-stacks',
      summary: 'stack traces, joined to events of many lines',
      lines: 'stacks' as const,
      agents: [
        { name: 'agent, line by line' },
        { name: 'agent, preset', host: { app: { multiline: { preset: 'java' } } } },
        { name: 'agent, RE2 pattern', host: { app: { multiline: { start: String.raw`^\d{4}-` } } } },
      ],
    },
    {
      name: 'events-timestamps',
      summary: '200-byte lines, each with the time that it has in it',
      agents: [
        { name: 'agent, when read' },
        { name: 'agent, timestamps', host: { app: { timestamp: { format: 'iso' } } } },
      ],
    },
    {
      name: 'events-gzip',
      summary: '200-byte lines, squeezed and not',
      agents: [{ name: 'agent, none' }, { name: 'agent, gzip', host: { events: { compression: 'gzip' } } }],
    },
    {
      name: 'events-when-needed',
      summary: '200-byte lines, spooled always and when needed',
      agents: [
        { name: 'agent, always' },
        { name: 'agent, when needed', host: { events: { spool: { mode: 'when-needed' } } } },
      ],
    },
    {
      name: 'events-redaction',
      summary: '200-byte lines, searched for secrets of this host',
      agents: [
        { name: 'agent, 3 secrets' },
        { name: 'agent, 23 secrets', host: { secretsMany: 20 } },
        { name: 'agent, not searched', host: { events: { redaction: { secrets: false } } } },
      ],
    },
  ].map((each) => shipping({ ...each, isByName: true })),
];
