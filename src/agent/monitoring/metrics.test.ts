import { expect, test } from 'vitest';
import { logEventTable } from '../log-events.ts';
import { metricRows } from './metric-rows.ts';
import { pageOf } from './metrics.ts';
import type { AgentStatus } from './status.ts';

const start = '2026-11-22T12:00:00.000Z';
const startSeconds = Date.parse(start) / 1000;
const process = { cpuSeconds: 1.5, residentBytes: 1e8, openFiles: 30 };

const starting: AgentStatus = {
  state: 'starting',
  failing: [],
  name: 'web-1',
  version: '1.2.3',
  pid: 1,
  startedAt: start,
  credentials: {},
  secrets: [],
  deliveries: [],
  consumers: [],
  refusedReads: 0,
  logLevel: { level: 'info', configured: 'info' },
  counters: {},
  lastErrors: [],
};

const source = { name: 'app', bytes: 10, events: 2, items: 1, lagBytes: 5, waitingEvents: 1 };

const whole: AgentStatus = {
  ...starting,
  state: 'degraded',
  failing: ['secret tls-key'],
  bindingKey: { keyArn: 'arn', materialExpiresAt: start },
  credentials: {
    source: 'instance-role',
    expiration: '2026-11-22T18:00:00.000Z',
    renewedAt: start,
    denied: { service: 'KMS', awsError: 'ExpiredTokenException', since: start },
  },
  clockSkewSeconds: -400,
  config: {
    secretName: 'prod/web',
    versionId: 'v1',
    appliedAt: start,
    readAt: start,
    restartNeeded: ['events'],
    refused: undefined,
  },
  secrets: [
    { name: 'database-password', source: 'secretsManager', version: 'v1', readAt: start },
    { name: 'tls-key', source: 'sealedFile', failing: 'SEALED_DAMAGED', readAt: '2026-11-22T11:00:00.000Z' },
  ],
  deliveries: [{ delivery: '/run/gatehouse/a', secret: 'database-password' }],
  consumers: [
    { name: 'app', credentials: { expiration: '2026-11-22T13:00:00.000Z' }, reads: 5, ways: [] },
    { name: 'other', credentials: {}, reads: 0, ways: [], failing: 'OWNER_UNKNOWN' },
  ],
  refusedReads: 6,
  events: {
    sources: [{ ...source, escapedLines: 3, splitEvents: 4, unannouncedChanges: 6 }],
    spool: {
      batches: 1,
      bytes: 100,
      bytesMax: 1000,
      isSealed: true,
      isFailing: false,
      isFull: false,
      fileBytes: 0,
      lostBatches: 0,
      lostEvents: 0,
      quarantineBytes: 0,
    },
    sent: { batches: 7, events: 70, bytes: 700, refused: 1, failures: 2, lastAtMs: Date.parse(start) },
    deadLetter: { events: 1, bytes: 10 },
    audit: [{ source: 'agent', sequence: 41, lost: 0 }],
    failingStreams: 0,
    redaction: { secrets: 1, leftOut: { 'tls-key': 'too-short' }, redacted: 3, patterns: { card: 2 } },
  },
  counters: { 'secret.read': 2 },
};

async function linesOf(status: AgentStatus): Promise<readonly string[]> {
  const { text } = await pageOf({ status, process });
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

async function copyLinesOf(status: AgentStatus): Promise<readonly string[]> {
  return (await linesOf(status)).filter((line) => /_config_(?:copy|last)/u.test(line));
}

test('the copy of the gateway config is told by whether it is in use, its age, and whether it can be kept', async () => {
  const { config, ...rest } = whole;
  if (config === undefined) throw new Error('no config');
  const lastKnownGood = { sealedAt: start, key: 'arn' };
  expect(await copyLinesOf({ ...rest, config })).toEqual(['gatehouse_config_last_known_good_in_use 0']);
  expect(
    await copyLinesOf({
      ...rest,
      config: { ...config, lastKnownGood },
      configCopy: { versionId: 'v1', sealedAt: start },
    }),
  ).toEqual([
    'gatehouse_config_last_known_good_in_use 1',
    `gatehouse_config_copy_sealed_timestamp_seconds ${startSeconds}`,
    'gatehouse_config_copy_failing 0',
  ]);
  expect(await copyLinesOf({ ...rest, config, configCopy: { failing: 'KEY_DENIED' } })).toContain(
    'gatehouse_config_copy_failing 1',
  );
  expect(await copyLinesOf({ ...rest, config, configCopy: { notKept: 'no binding key' } })).toEqual([
    'gatehouse_config_last_known_good_in_use 0',
  ]);
});

test('every number of the status is there', async () => {
  const lines = await linesOf(whole);

  expect(lines).toEqual(
    expect.arrayContaining([
      'gatehouse_state{state="degraded"} 1',
      'gatehouse_state{state="ready"} 0',
      'gatehouse_failing_parts 1',
      `gatehouse_credentials_expiration_timestamp_seconds ${startSeconds + 6 * 3600}`,
      `gatehouse_credentials_renewed_timestamp_seconds ${startSeconds}`,
      `gatehouse_key_material_expiration_timestamp_seconds ${startSeconds}`,
      'gatehouse_credentials_denied 1',
      'gatehouse_credentials_failing 0',
      'gatehouse_clock_skew_seconds -400',
      `gatehouse_config_read_timestamp_seconds ${startSeconds}`,
      'gatehouse_config_restart_needed 1',
      'gatehouse_config_refused 0',
      'gatehouse_secrets{state="ok"} 1',
      'gatehouse_secrets{state="failing"} 1',
      `gatehouse_secrets_read_timestamp_seconds ${startSeconds - 3600}`,
      'gatehouse_deliveries{state="ok"} 1',
      'gatehouse_consumer_reads_total{consumer="app"} 5',
      'gatehouse_consumer_refused_total 6',
      'gatehouse_consumer_failing{consumer="app"} 0',
      'gatehouse_consumer_failing{consumer="other"} 1',
      `gatehouse_consumer_credentials_expiration_timestamp_seconds{consumer="app"} ${startSeconds + 3600}`,
      'gatehouse_source_bytes_total{source="app"} 10',
      'gatehouse_source_lag_bytes{source="app"} 5',
      'gatehouse_source_split_events_total{source="app"} 4',
      'gatehouse_source_unannounced_changes_total{source="app"} 6',
      'gatehouse_spool_bytes 100',
      'gatehouse_spool_max_bytes 1000',
      'gatehouse_spool_full 0',
      'gatehouse_dropped_events_total 0',
      'gatehouse_sent_events_total 70',
      `gatehouse_sent_timestamp_seconds ${startSeconds}`,
      'gatehouse_dead_letter_events 1',
      'gatehouse_redacted_places_total 3',
      'gatehouse_redacted_pattern_places_total{pattern="card"} 2',
      'gatehouse_redaction_secrets{state="left_out"} 1',
      'gatehouse_audit_sequence{source="agent"} 41',
      'process_cpu_seconds_total 1.5',
    ]),
  );
});

test('every log event has its counter, also one that never happened', async () => {
  const lines = await linesOf(whole);

  const counted = lines.filter((line) => line.startsWith('gatehouse_log_events_total'));
  expect(counted).toHaveLength(Object.keys(logEventTable).length);
  expect(counted).toContain('gatehouse_log_events_total{event="secret.read",level="info"} 2');
  expect(counted).toContain('gatehouse_log_events_total{event="secret.read-failed",level="error"} 0');
});

test('what there is nothing to say of is absent, not 0', async () => {
  const lines = await linesOf(starting);

  for (const part of ['expiration', 'config', 'spool', 'sent', 'source', 'dead_letter', 'secrets_read']) {
    expect(lines.filter((line) => line.includes(part) && !line.includes('log_events'))).toEqual([]);
  }
});

test('nothing names a secret or a delivery', async () => {
  const { text } = await pageOf({ status: whole, process });

  for (const name of ['database-password', 'tls-key', '/run/gatehouse', 'prod/web']) {
    expect(text).not.toContain(name);
  }
});

test.each(Object.entries(metricRows))('%s follows the conventions for names', (name, row) => {
  expect(name).toMatch(/^(?:gatehouse|process)(?:_[a-z]+)+$/u);
  expect(name.endsWith('_total')).toBe(row.type === 'counter');
  expect(name).not.toMatch(/_(?:ms|milliseconds|kilobytes|minutes|gauge|counter)(?:_|$)/u);
  expect(row.help).toMatch(/^[A-Z1].*[^.]$/u);
});

test.each(Object.entries(metricRows))('%s says of each label what it means, and no more', (_name, row) => {
  const declared = Object.keys(row.labels ?? {});

  for (const { labels = {} } of row.samples({ status: whole, process })) {
    expect(Object.keys(labels)).toEqual(declared);
  }
});
