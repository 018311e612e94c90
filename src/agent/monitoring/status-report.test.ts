import { expect, test } from 'vitest';
import { exitCodeOf } from './status.ts';
import { type AgentParts, statusOf } from './status-report.ts';

const failingSince = new Date('2026-11-22T11:00:00Z');

/** The parts of an agent as they are when all is well; a test says what is not. */
function setup(changes: Partial<AgentParts> = {}, credentials: object = {}, others: object = {}): AgentParts {
  const host = {
    launch: { version: '1.2.3' },
    bootstrap: { config: { name: 'web-1' } },
    recorder: { counters: () => ({ 'agent.starting': 1 }), recentErrors: () => [] },
    credentials: {
      state: () => ({
        source: 'instance-role',
        accessKeyId: 'ASIAEXAMPLE',
        expiration: new Date('2026-11-22T18:00:00Z'),
        ...credentials,
      }),
    },
    denials: { state: () => undefined },
    chain: { passedOver: [{ name: 'environment', reason: 'it is not set' }] },
    clockSkew: { seconds: () => 0 },
    ...others,
  } as unknown as AgentParts['host'];
  const logLevel = {
    state: () => ({ level: 'info', configured: 'info' }) as const,
    set: () => undefined,
  };
  return {
    host,
    hostId: 'id',
    startedAt: new Date('2026-11-22T12:00:00Z'),
    phase: 'ready',
    logLevel,
    ...changes,
  };
}

function configOf(refused: string | undefined): NonNullable<AgentParts['config']> {
  const state = {
    secretName: 'prod/web',
    versionId: 'v1',
    appliedAt: '2026-11-22T12:00:01.000Z',
    readAt: '2026-11-22T12:10:00.000Z',
    restartNeeded: [],
    refused,
  };
  return { state: () => state };
}

function workloadOf(failing: string | undefined): NonNullable<AgentParts['workload']> {
  const mark = failing === undefined ? {} : { failing };
  return {
    status: () => ({
      secrets: [{ name: 'database-password', source: 'secretsManager', ...mark }],
      deliveries: [{ delivery: '/run/gatehouse/a', secret: 'database-password', ...mark }],
    }),
  } as unknown as NonNullable<AgentParts['workload']>;
}

function eventsOf(
  isFailing: boolean,
  failingStreams: number,
  sources: readonly { readonly name: string; readonly failing?: string }[] = [{ name: 'app' }],
): NonNullable<AgentParts['events']> {
  return {
    status: async () => ({ spool: { isFailing }, failingStreams, sources }),
  } as unknown as NonNullable<AgentParts['events']>;
}

test('an agent that has just begun tells what there is, and leaves out what is not', async () => {
  const status = await statusOf(setup({ phase: 'starting' }));

  expect(status).toEqual({
    state: 'starting',
    failing: [],
    name: 'web-1',
    hostId: 'id',
    logLevel: { level: 'info', configured: 'info' },
    version: '1.2.3',
    pid: process.pid,
    startedAt: '2026-11-22T12:00:00.000Z',
    credentials: {
      source: 'instance-role',
      accessKeyId: 'ASIAEXAMPLE',
      expiration: '2026-11-22T18:00:00.000Z',
      notApplied: [{ source: 'environment', why: 'it is not set' }],
    },
    secrets: [],
    deliveries: [],
    consumers: [],
    refusedReads: 0,
    counters: { 'agent.starting': 1 },
    lastErrors: [],
  });
  expect(exitCodeOf(status)).toBe(75);
});

test('an agent that starts tells what it waits for, and one that has started does not', async () => {
  const waitsFor = { what: 'KMS', since: '2026-11-22T12:00:02.000Z', withinSeconds: 78 };
  const startTime = { waitsFor: () => waitsFor };

  expect(await statusOf(setup({ phase: 'starting', startTime }))).toMatchObject({
    state: 'starting',
    waitsFor,
  });
  expect(await statusOf(setup({ startTime }))).not.toHaveProperty('waitsFor');
});

test('an agent with everything well is ready', async () => {
  const parts = setup({
    config: configOf(undefined),
    workload: workloadOf(undefined),
    events: eventsOf(false, 0),
  });

  const status = await statusOf(parts);

  expect(status).toMatchObject({ state: 'ready', failing: [], config: { versionId: 'v1' } });
  expect(exitCodeOf(status)).toBe(0);
});

test.each<[string[], Partial<AgentParts>]>([
  [
    ['events: source net: EADDRINUSE'],
    { events: eventsOf(false, 0, [{ name: 'net', failing: 'EADDRINUSE' }]) },
  ],
  [['config'], { config: configOf('GATEWAY_CONFIG_INVALID') }],
  [['secret database-password', 'delivery /run/gatehouse/a'], { workload: workloadOf('SECRET_NOT_FOUND') }],
  [['spool'], { events: eventsOf(true, 0) }],
  [['events: 2 streams'], { events: eventsOf(false, 2) }],
  [['monitoring'], { monitoring: { status: () => ({ failing: 'API_ADDRESS_UNAVAILABLE' }) } }],
])('with %j failing it is degraded, names it, and is still ready for callers', async (failing, parts) => {
  const status = await statusOf(setup(parts));

  expect(status).toMatchObject({ state: 'degraded', failing });
  expect(exitCodeOf(status)).toBe(0);
});

test('credentials that cannot be renewed degrade it, with since when', async () => {
  const failing = { code: 'CREDENTIALS_METADATA_UNREACHABLE', since: failingSince, attempts: 3 };

  const status = await statusOf(setup({}, { failing }));

  expect(status).toMatchObject({
    state: 'degraded',
    failing: ['credentials'],
    credentials: { failing: { ...failing, since: failingSince.toISOString() } },
  });
});

test('an agent that stops says so, whatever else fails', async () => {
  const status = await statusOf(setup({ phase: 'stopping', config: configOf('SECRET_DENIED') }));

  expect(status).toMatchObject({ state: 'stopping', failing: ['config'] });
  expect(exitCodeOf(status)).toBe(75);
});

test('credentials that AWS denies degrade it, and are told apart from those that cannot be renewed', async () => {
  const denied = { service: 'KMS', awsError: 'UnrecognizedClientException', since: failingSince };

  const status = await statusOf(setup({}, {}, { denials: { state: () => denied } }));

  expect(status).toMatchObject({
    state: 'degraded',
    failing: ['credentials'],
    credentials: { denied: { ...denied, since: failingSince.toISOString() } },
  });
  expect(status.credentials.failing).toBeUndefined();
});

test('long-term keys, extended credentials and a wrong clock are said, and degrade nothing', async () => {
  const extendedUntil = new Date('2026-11-22T18:15:00Z');

  const status = await statusOf(
    setup({}, { isLongTerm: true, extendedUntil }, { clockSkew: { seconds: () => -600 } }),
  );

  expect(status).toMatchObject({
    state: 'ready',
    credentials: { isLongTerm: true, extendedUntil: extendedUntil.toISOString() },
    clockSkewSeconds: -600,
  });
});
