import { expect, test } from 'vitest';
import type { AgentStatus } from '../agent/monitoring/status.ts';
import { fitted, type Line, plainText, topLines } from './top-screen.ts';

const healthy: AgentStatus = {
  state: 'ready',
  failing: [],
  name: 'web-1',
  hostId: 'id',
  version: '1.2.3',
  pid: 7,
  startedAt: '2026-11-22T10:00:00.000Z',
  credentials: {
    source: 'instance-role',
    accessKeyId: 'ASIAEXAMPLE',
    expiration: '2026-11-22T18:00:00.000Z',
    renewedAt: '2026-11-22T11:30:00.000Z',
  },
  config: {
    secretName: 'prod/web',
    versionId: '0123456789abcdef',
    appliedAt: '2026-11-22T10:00:00.000Z',
    readAt: '2026-11-22T11:58:00.000Z',
    restartNeeded: [],
    refused: undefined,
  },
  secrets: [
    { name: 'database-password', source: 'secretsManager', version: 'v1' },
    { name: 'tls-key', source: 'sealedFile', version: '1-aa' },
  ],
  deliveries: [{ delivery: '/run/gatehouse/a', secret: 'tls-key' }],
  consumers: [],
  refusedReads: 0,
  events: {
    sources: [
      {
        name: 'app',
        bytes: 5_000_000,
        events: 25_000,
        items: 2,
        lagBytes: 4096,
        waitingEvents: 0,
        escapedLines: 0,
        splitEvents: 0,
      },
    ],
    spool: {
      batches: 3,
      bytes: 600,
      bytesMax: 1000,
      isSealed: true,
      isFailing: false,
      isFull: false,
      fileBytes: 0,
      lostBatches: 0,
      lostEvents: 0,
      quarantineBytes: 0,
    },
    sent: {
      batches: 5,
      events: 25_000,
      bytes: 6e6,
      refused: 0,
      failures: 0,
      lastAtMs: Date.parse('2026-11-22T11:59:58Z'),
    },
    deadLetter: { events: 0, bytes: 0 },
    failingStreams: 0,
  },
  logLevel: { level: 'info', configured: 'info' },
  counters: {},
  lastErrors: [],
};

const look = { time: '2026-11-22T12:00:00.000Z', atMs: 0, status: healthy };
const rates = {
  overMs: 2000,
  sources: [{ name: 'app', eventsPerSecond: 1250, bytesPerSecond: 250_000 }],
  sent: { eventsPerSecond: 1240, bytesPerSecond: 300_000 },
};

test('an agent that is well, on one page', () => {
  expect(plainText(topLines({ look, rates }))).toBe(`\
gatehouse web-1  ready  up 2 h, pid 7, version 1.2.3, 12:00:00 UTC

credentials  instance-role ASIAEXAMPLE  expires in 6 h, renewed 30 min ago
config       prod/web version 01234567, applied 2 h ago, read 2 min ago
secrets      2 ok
deliveries   1 ok
spool        [##############..........] 60 % of 1000 B  600 B, 3 batches, sealed
sent         1,240 events/s, 293 KiB/s  25,000 events in all, last 2 s ago
refused      0  dead letter 0 events, 0 B

SOURCE  EVENTS/S    BYTES/S   BEHIND  EVENTS  ITEMS
app        1,250  244 KiB/s  4.0 KiB  25,000      2
`);
});

test('what fails comes first, with its code, and the last errors are last, the newest on top', () => {
  const status: AgentStatus = {
    ...healthy,
    state: 'degraded',
    failing: ['credentials', 'secret tls-key', 'events: 1 streams'],
    credentials: {
      ...healthy.credentials,
      expiration: '2026-11-22T12:05:00.000Z',
      failing: { code: 'CREDENTIALS_METADATA_UNREACHABLE', since: '2026-11-22T11:00:00.000Z', attempts: 3 },
    },
    secrets: [{ name: 'tls-key', source: 'sealedFile', failing: 'SEALED_DAMAGED' }],
    lastErrors: [
      {
        time: '2026-11-22T11:00:00.000Z',
        event: 'secret.read-failed',
        level: 'error',
        code: 'SEALED_DAMAGED',
      },
      { time: '2026-11-22T11:59:50.000Z', event: 'events.spool-full', level: 'warn' },
    ],
  };
  Object.assign(status, {
    events: { ...healthy.events, failingStreams: 1, lastError: { code: 'EVENTS_UNREACHABLE', atMs: 0 } },
  });

  const text = plainText(topLines({ look: { ...look, status } }));

  expect(text.split('\n').slice(0, 6)).toEqual([
    'gatehouse web-1  degraded  up 2 h, pid 7, version 1.2.3, 12:00:00 UTC',
    '',
    'failing      credentials: CREDENTIALS_METADATA_UNREACHABLE',
    'failing      secret tls-key: SEALED_DAMAGED',
    'failing      events: 1 streams: EVENTS_UNREACHABLE',
    'credentials  instance-role ASIAEXAMPLE  expires in 5 min, renewed 30 min ago',
  ]);
  expect(text.split('\n').slice(-4)).toEqual([
    'LAST ERRORS  EVENT               CODE',
    '10 s ago     events.spool-full',
    '1 h ago      secret.read-failed  SEALED_DAMAGED',
    '',
  ]);
});

const droppedIn = (status: AgentStatus) =>
  plainText(topLines({ look: { ...look, status } }))
    .split('\n')
    .filter((line) => line.startsWith('dropped'));

test('events that were dropped are told of, where there are any', () => {
  const status: AgentStatus = { ...healthy };
  Object.assign(status, { events: { ...healthy.events, dropped: { events: 1_234, bytes: 2_048 } } });
  expect(droppedIn(status)).toEqual(['dropped      1,234 events, 2.0 KiB']);
  expect(droppedIn(healthy)).toEqual([]);
});

test('credentials that AWS denies, or that have to last, are told apart from those that cannot be renewed', () => {
  const denied = { service: 'KMS', awsError: 'ExpiredTokenException', since: '2026-11-22T11:00:00.000Z' };
  const expiration = '2026-11-22T11:58:00.000Z';
  const textOf = (credentials: AgentStatus['credentials']) =>
    plainText(topLines({ look: { ...look, status: { ...healthy, failing: ['credentials'], credentials } } }));

  expect(textOf({ ...healthy.credentials, denied })).toContain(
    'failing      credentials: ExpiredTokenException\n',
  );
  expect(textOf({ ...healthy.credentials, expiration, extendedUntil: expiration })).toContain(
    'expired 2 min ago, used on, renewed',
  );
});

test('of much that fails it says how much more', () => {
  const failing = Array.from({ length: 20 }, (_part, index) => `secret s${index}`);

  const text = plainText(topLines({ look: { ...look, status: { ...healthy, failing } } }));

  expect(text.match(/^failing /gmu)).toHaveLength(8);
  expect(text).toContain('             and 12 more\n');
});

test('an agent that does not answer any more is shown as it was, and that is said', () => {
  const text = plainText(topLines({ look, rates, silent: 'AGENT_NOT_RUNNING' }));

  expect(text).toContain('the agent does not answer: AGENT_NOT_RUNNING; asking again');
  expect(text).toContain('prod/web');
});

test('an agent that runs by the copy of its config says so, and how old that is', () => {
  if (healthy.config === undefined) throw new Error('no config');
  const copied = {
    ...healthy.config,
    readAt: undefined,
    refused: 'SECRET_UNREACHABLE',
    lastKnownGood: { sealedAt: '2026-11-20T09:00:00.000Z', key: 'arn' },
  };
  const status: AgentStatus = { ...healthy, state: 'degraded', failing: ['config'], config: copied };

  const text = plainText(topLines({ look: { ...look, status } }));

  expect(text).toContain('failing      config: SECRET_UNREACHABLE\n');
  expect(text).toContain('             last-known-good copy in use, sealed 2 d 3 h ago\n');
});

test('an agent that has just begun has no rates, and shows what there is', () => {
  const { config: _, events: __, ...rest } = healthy;
  const waitsFor = { what: 'credentials', since: '2026-11-22T11:59:12.000Z', withinSeconds: 80 };
  const status: AgentStatus = { ...rest, state: 'starting', waitsFor, credentials: {} };

  const text = plainText(topLines({ look: { ...look, status } }));

  expect(text).toContain('waits for    credentials, 48 s, 80 s at most\n');
  expect(text).toContain('credentials  none yet\nconfig       none yet\n');
  expect(text).toContain('events       none are shipped\n');
});

test('a spool with a little in it is not shown as empty', () => {
  const status = { ...healthy };
  Object.assign(status, {
    events: { ...healthy.events, spool: { ...healthy.events?.spool, bytes: 1, bytesMax: 1e9 } },
  });

  expect(plainText(topLines({ look: { ...look, status } }))).toContain(
    '[#.......................] < 1 % of 954 MiB',
  );
});

test('a spool that is full says that sources wait', () => {
  const status = { ...healthy };
  Object.assign(status, {
    events: { ...healthy.events, spool: { ...healthy.events?.spool, isFull: true } },
  });

  expect(plainText(topLines({ look: { ...look, status } }))).toContain('full, sources wait');
});

test('no line is longer than the terminal, and none is below its bottom', () => {
  const lines: readonly Line[] = [
    [
      ['strong', 'abc'],
      ['dim', 'defgh'],
    ],
    [['plain', 'x'.repeat(200)]],
    [['bad', 'unseen']],
  ];

  expect(fitted(lines, 5, 2)).toEqual([
    [
      ['strong', 'abc'],
      ['dim', 'de'],
    ],
    [['plain', 'xxxxx']],
  ]);
});
