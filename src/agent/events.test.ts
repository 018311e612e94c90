import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { memoryKeeper } from '../../test/support/spool-fixture.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { systemClock } from '../base/clock.ts';
import { reportOf } from '../base/errors.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import type { EventsSettings } from '../events/channel.ts';
import { eventsConfig } from '../events/config.ts';
import type { Credentials } from '../identity/credential-source.ts';
import { denials } from '../identity/denials.ts';
import { type EventsAccess, type EventsOptions, startEvents } from './events.ts';
import type { AuditRecord } from './recorder.ts';

const logGroup = '/gatehouse/web-1';
const never = new AbortController().signal;

async function setup() {
  const sandbox = createSandbox();
  const { url, close } = await sandbox.listen();
  onTestFinished(() => close());
  const directory = temporaryDirectory();
  const user = sandbox.identities.createUser('agent');
  const credentials = async (): Promise<Credentials> => ({
    accessKeyId: user.accessKeyId,
    secretAccessKey: Secret.ofText(user.secretAccessKey),
    source: 'test',
  });
  const settings: EventsSettings = {
    config: eventsConfig.parse({
      sources: { app: { files: [join(directory, '*.log')] }, agent: { audit: true } },
    }),
    name: 'web-1',
    hostId: 'host-1',
    hostname: 'web-1.example',
    region: sandbox.region,
    readFrom: [directory],
    stateDirectory: join(directory, 'state'),
    stateVersion: 2,
    env: { AWS_ENDPOINT_URL: url },
  };
  const logged: LogEvent[] = [];
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const denied = denials(
    { renew: credentials, state: () => ({}) },
    { clock: systemClock, log: () => undefined },
  );
  const accessWith = (given: EventsAccess['credentials']) => () => ({ credentials: given, denials: denied });
  const start = async (options: Partial<EventsOptions> = {}) => {
    const events = await startEvents(
      {
        settings,
        access: accessWith(credentials),
        keys: memoryKeeper(systemClock),
        log: (event) => logged.push(event),
        clock: systemClock,
        ...options,
      },
      stop.signal,
    );
    events.done.catch(() => undefined);
    events.secretsAre([]);
    return events;
  };
  const messages = (logStream: string): string[] =>
    (sandbox.state.logs.groups[logGroup]?.streams[logStream]?.batches ?? []).flatMap(({ text, ends }) =>
      ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end)),
    );
  return { directory, credentials, accessWith, settings, start, stop, logged, messages };
}

describe('the events worker', () => {
  test('ships files and audit records, tells its status, and drains when it is stopped', async () => {
    const { directory, start, messages, logged } = await setup();
    const events = await start();

    appendFileSync(join(directory, 'app.log'), 'one\ntwo\n');
    events.audit(audited('secret.read'));
    await until(async () => (await events.status()).sent.events >= 4);
    const { sources, audit } = await events.status();
    events.audit(audited('agent.stop'));
    await events.stop(5000);
    await events.done;

    expect(sources.map(({ name }) => name)).toEqual(['app', 'agent']);
    expect(audit).toMatchObject([{ source: 'agent', sequence: 1, lost: 0 }]);
    expect(messages('app')).toEqual(['one', 'two']);
    expect(messages('agent').map((line) => JSON.parse(line))).toMatchObject([
      { event: 'audit.genesis', sequence: 0, fields: { hostId: 'host-1', name: 'web-1', source: 'agent' } },
      { ...audited('secret.read'), sequence: 1 },
      { ...audited('agent.stop'), sequence: 2 },
    ]);
    expect(
      messages('agent.heads')
        .map((line) => JSON.parse(line))
        .at(-1),
    ).toMatchObject({
      kind: 'audit-head',
      head: { sequence: 2 },
    });
    expect(logged.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['events.started', 'events.group-created', 'events.stopped']),
    );
    expect(logged.map(({ name }) => name)).not.toContain('events.retention-failed');
    await expect(events.status()).rejects.toMatchObject({ code: 'EVENTS_WORKER_DIED' });
  });

  test('goes on sending when there are credentials again', async () => {
    const { directory, start, messages, logged, credentials, accessWith } = await setup();
    let isAway = true;
    const events = await start({
      access: accessWith(() => (isAway ? Promise.reject(new Error('no credentials yet')) : credentials())),
    });

    appendFileSync(join(directory, 'app.log'), 'one\n');
    await until(async () => (await events.status()).failingStreams === 1);
    isAway = false;
    await until(async () => (await events.status()).sent.events === 1);

    expect(messages('app')).toEqual(['one']);
    const failed = logged.find(({ name }) => name === 'events.send-failed');
    expect(failed?.fields['error']).toMatchObject({
      code: 'EVENTS_CREDENTIALS_UNAVAILABLE',
      details: { code: 'DEFECT' },
    });
  });

  test('is not started with a spool that it may not keep', async () => {
    const { start } = await setup();

    await expect(start({ keys: undefined })).rejects.toMatchObject({ code: 'EVENTS_SPOOL_KEY_MISSING' });
  });

  test('says when audit records are durable, and when they cannot be', async () => {
    const { start, settings, accessWith } = await setup();
    const clock = fakeClock();
    const full = { ...settings.config, spool: { ...settings.config.spool, bytesMax: 4_096 } };
    const events = await start({
      settings: { ...settings, config: full },
      clock,
      // Nothing is sent, so what is in the spool stays there.
      access: accessWith(() => Promise.reject(new Error('none'))),
    });

    events.audit(large());
    await expect(events.audited(never)).resolves.toBeUndefined();
    events.audit(large());
    const blocked = events.audited(never).catch(reportOf);
    await until(async () => clock.sleeping === 1);
    await clock.advance(5_000);
    expect(await blocked).toMatchObject({ code: 'EVENTS_AUDIT_BLOCKED' });
  });

  test('refuses to say so at once when records are lost on the way', async () => {
    const { start, logged } = await setup();
    const events = await start();

    for (let count = 0; count < 10_005; count += 1) events.audit(audited('secret.read'));

    await expect(events.audited(never)).rejects.toMatchObject({ code: 'EVENTS_AUDIT_BLOCKED' });
    await until(async () => logged.some(({ name }) => name === 'events.audit-dropped'));
    const told = logged
      .filter(({ name }) => name.startsWith('events.audit-'))
      .map(({ name, fields }) => [name, fields['records']]);
    expect(told).toEqual(
      expect.arrayContaining([
        ['events.audit-full', undefined],
        ['events.audit-dropped', 5],
      ]),
    );
    await expect(events.audited(never)).resolves.toBeUndefined();
  });

  test('ends at once when it is aborted, and says why', async () => {
    const { start, stop } = await setup();
    const events = await start();
    const reason = new Error('aborted');

    stop.abort(reason);

    await expect(events.done).rejects.toBe(reason);
  });
});

const large = (): AuditRecord => ({ ...audited('secret.read'), fields: { text: 'x'.repeat(4_000) } });

const audited = (event: string): AuditRecord => ({
  time: '2026-11-22T12:00:00Z',
  event,
  outcome: 'success',
  fields: {},
});

/** The worker lives on the system's clock, so this waits for real. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await timeout(20);
}
