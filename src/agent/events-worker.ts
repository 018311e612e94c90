import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { type Clock, systemClock } from '../base/clock.ts';
import { reportOf } from '../base/errors.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import type { ChainedSource } from '../events/audit/chained-source.ts';
import type { StreamName } from '../events/batch.ts';
import {
  type EventsSettings,
  type FromWorker,
  type PlainCredentials,
  type PlainDataKey,
  questions,
  type ToWorker,
  type WantedKey,
  type WorkerStart,
} from '../events/channel.ts';
import { desk } from '../events/desk.ts';
import { eventsError } from '../events/errors.ts';
import type { EventSource } from '../events/event-source.ts';
import type { PipelineSource } from '../events/pipeline/source.ts';
import { type Pipeline, pipeline } from '../events/pipeline.ts';
import { configuredRedactor } from '../events/redaction/configured-redactor.ts';
import { redactingSource } from '../events/redaction/redacting-source.ts';
import type { RedactionStage, Redactor } from '../events/redaction/redactor.ts';
import { sinkByRole } from '../events/sink/by-role.ts';
import { cloudwatchLogsSink, type RetentionWishes } from '../events/sink/cloudwatch-logs.ts';
import { auditShareBytes, withAuditShare } from '../events/spool/audit-share.ts';
import { type DataKey, type KeyKeeper, keyRing } from '../events/spool/data-keys.ts';
import { diskSpool, type SpoolFolders } from '../events/spool/disk.ts';
import { folderStorage } from '../events/spool/folder-storage.ts';
import { whenNeeded } from '../events/spool/when-needed.ts';
import type { Spool } from '../events/spool.ts';
import type { EventsStatus } from '../events/status.ts';
import type { AwsClientOptions } from './aws/aws-client.ts';
import { type LogsCalls, logsCalls } from './aws/logs-calls.ts';
import { credentialNames, type WorkerAccess, workerAccess } from './events/worker-access.ts';
import { auditShareOf, withAudit, workerSources } from './events/worker-sources.ts';

/** How long sources wait for the credentials that are not to be shipped, at the start. */
const credentialsMsMax = 5_000;

/** Kept in the spool as positions of a source that no config can name. Above the await, which ends with the worker. */
const wishesSource = '.retention';

if (parentPort !== null) {
  // The thread may be started before it is known what it is to do: its modules load meanwhile.
  const [start]: WorkerStart[] = await once(parentPort, 'message');
  if (start !== undefined) await work(start);
}

function log(event: LogEvent): void {
  say({ kind: 'log', event });
}

function say(message: FromWorker): void {
  parentPort?.postMessage(message, []);
}

/** The events worker: composes sources, spool and sink, and runs until it is told to stop. */
async function work({ settings, isSealed, dataKey }: WorkerStart): Promise<void> {
  const clock = systemClock;
  const asked = questions<PlainCredentials>();
  let redaction: Redactor | undefined;
  const renewals = questions<boolean>();
  const accessUnder = workerAccess({
    asked,
    renewals,
    say,
    learn: (name, value) => redaction?.learn(name, value),
    clock,
  });

  const keysAsked = questions<PlainDataKey>();
  const first = dataKey === undefined ? {} : { first: wrappedKey(dataKey) };
  const keys = isSealed ? keyRing(keeperBy(keysAsked), { ...first, clock, log }) : undefined;

  // Before anything waits: opening the spool may ask for a key.
  parentPort?.on('message', (message: ToWorker) => {
    if (message.kind === 'data-key') keysAsked.answer(message.id, message.dataKey);
    if (message.kind === 'no-data-key') {
      const code = message.isLost ? 'EVENTS_SPOOL_KEY_LOST' : 'EVENTS_SPOOL_KEY_UNAVAILABLE';
      keysAsked.refuse(message.id, eventsError(code, { code: message.code }));
    }
  });

  try {
    const { config, region, env } = settings;
    const kept = await diskSpool({
      folders: await foldersOf(settings),
      bytesMax: config.spool.bytesMax,
      keys,
      allowClearSpool: config.spool.allowClearSpool,
      deadLetterBytesMax: config.deadLetter.bytesMax,
      clock,
      log,
    });
    redaction = await configuredRedactor(config.redaction, { clock, log });
    const secretsKnown = Promise.withResolvers<void>();
    const shipped = (name: string, source: EventSource, stage: RedactionStage): EventSource =>
      redactingSource({ name, source, redactor: redaction, stage, known: secretsKnown.promise });
    const { sources, audits, chains, outputs } = workerSources({
      settings,
      spool: kept,
      shipped,
      redacted: config.redaction.secrets ? saidBeside(redaction) : undefined,
      onOutputTaken: (bytes) => say({ kind: 'output-taken', bytes }),
      log,
    });
    const durable = chains.length === 0 ? kept : withAuditShare(kept, auditShareOf(chains, log));
    const spool = config.spool.mode === 'always' ? durable : whenNeeded(durable, { clock, log });
    const called: LogsCalls[] = [];
    const sink = sinkByRole((roleOf) => {
      const { credentials, denials } = accessUnder(roleOf);
      const access: AwsClientOptions = { env, region, credentials, denials };
      const calls = logsCalls(access, clock);
      called.push(calls);
      return cloudwatchLogsSink({
        client: calls.client,
        putLogEvents: calls.putLogEvents,
        isSqueezed: config.compression === 'gzip',
        createLogGroup: config.createLogGroup,
        group: { class: config.logGroupClass, kmsKeyArn: config.logGroupKey, tags: config.logGroupTags },
        retentionDays: config.retentionDays,
        retentionWishes: retentionWishes(spool, roleOf),
        clock,
        log,
      });
    });
    const { bytesMax, whenFull, ageMaxDays } = config.spool;
    const fillBytesMax = chains.length === 0 ? bytesMax : bytesMax - auditShareBytes(bytesMax);
    const line = pipeline({ sources, spool, sink, whenFull, fillBytesMax, ageMaxDays, clock, log });
    const atDesk = desk({ spool, pipeline: line, streams: streamsOf(sources), clock, log });

    parentPort?.on('message', (message: ToWorker) => {
      switch (message.kind) {
        case 'audit':
          for (const audit of audits) audit.push(message.line);
          say({ kind: 'audit-taken' });
          break;
        case 'audit-settled-wanted':
          void sayWhenSettled(message.id, chains);
          break;
        case 'credentials':
          asked.answer(message.id, message.credentials);
          break;
        case 'credentials-renewed':
          renewals.answer(message.id, message.areNewer);
          break;
        case 'credentials-not-renewed':
          renewals.refuse(message.id, eventsError('EVENTS_CREDENTIALS_UNAVAILABLE', { code: message.code }));
          break;
        case 'no-credentials':
          asked.refuse(message.id, eventsError('EVENTS_CREDENTIALS_UNAVAILABLE', { code: message.code }));
          break;
        case 'status-wanted':
          say({ kind: 'status', id: message.id, status: statusOf(line, chains, redaction) });
          break;
        case 'output':
          for (const output of outputs)
            output.push(message.stream, message.bytes && Buffer.from(message.bytes.buffer));
          break;
        case 'asked':
          void atDesk(message.question).then(
            (answer) => say({ kind: 'answered', id: message.id, answer }),
            (error: unknown) => say({ kind: 'not-answered', id: message.id, report: reportOf(error) }),
          );
          break;
        case 'redact': {
          const value = Secret.ofBytes(message.value);
          message.value.fill(0);
          redaction?.learn(message.secret, value);
          value.dispose();
          say({ kind: 'redacting', id: message.id });
          break;
        }
        case 'secrets':
          redaction?.keepOnly(new Set([...message.names, ...credentialNames(rolesOf(sources))]));
          void credentialsLearned(clock, rolesOf(sources), accessUnder).then(secretsKnown.resolve);
          break;
        case 'data-key':
        case 'no-data-key':
          // Heard from the beginning.
          break;
        case 'stop':
          void line.drain(message.deadlineMs);
          break;
      }
    });
    say({ kind: 'ready' });
    await line.run(new AbortController().signal);
    for (const calls of called) calls.close();
    await spool.close();
    redaction?.close();
    keys?.close();
    say({ kind: 'stopped' });
  } catch (error) {
    say({ kind: 'fatal', report: reportOf(error) });
  } finally {
    parentPort?.close();
  }
}

/** Redacts what a program says of itself: it is a line by itself, of the source that runs the program. */
function saidBeside(redaction: Redactor | undefined): ((source: string, said: Buffer) => Buffer) | undefined {
  return (
    redaction &&
    ((source, bytes) => redaction.redact(source, { bytes, positions: [], file: undefined, isOneEvent: true }))
  );
}

/** Where the events of each source of the config go, as far as that depends on no file. */
function streamsOf(sources: readonly PipelineSource[]): ReadonlyMap<string, StreamName> {
  return new Map(
    sources.filter(({ name }) => !name.startsWith('.')).map((each) => [each.name, each.streamOf(undefined)]),
  );
}

/** Those under which the events of a source go; undefined is the role of all others. */
function rolesOf(sources: readonly PipelineSource[]): readonly (string | undefined)[] {
  return [...new Set(sources.map((each) => each.streamOf(undefined).roleOf))];
}

/** They are secrets as well. Where there are none just now, lines are read all the same: they have never been here. */
async function credentialsLearned(
  clock: Clock,
  roles: readonly (string | undefined)[],
  accessUnder: (roleOf: string | undefined) => WorkerAccess,
): Promise<void> {
  const { signal } = new AbortController();
  const learn = () => Promise.allSettled(roles.map((roleOf) => accessUnder(roleOf).credentials()));
  await clock.deadline(credentialsMsMax, 'credentials', signal, learn).catch(() => undefined);
}

function wrappedKey({ keyId, key, madeMs }: PlainDataKey): DataKey {
  const wrappedOne = { keyId, key: Secret.ofBytes(key), madeMs };
  key.fill(0);
  return wrappedOne;
}

/** The main thread, which has the data keys opened. */
function keeperBy(asked: ReturnType<typeof questions<PlainDataKey>>): KeyKeeper {
  const ask = async (wanted: WantedKey): Promise<DataKey> =>
    wrappedKey(await asked.ask((id) => say({ kind: 'data-key-wanted', id, wanted })));
  return {
    current: () => ask({ kind: 'current' }),
    fresh: () => ask({ kind: 'fresh' }),
    open: (keyId) => ask({ kind: 'kept', keyId }),
    keepOnly: (keyIds) => say({ kind: 'data-keys-in-use', keyIds }),
  };
}

/** The folders of the spool, with what an older version left in it. */
async function foldersOf({ stateDirectory, stateVersion }: EventsSettings): Promise<SpoolFolders> {
  const folders = {
    spool: await folderStorage(join(stateDirectory, 'spool')),
    deadLetter: await folderStorage(join(stateDirectory, 'dead-letter')),
    quarantine: await folderStorage(join(stateDirectory, 'quarantine')),
  };
  const database = join(stateDirectory, 'spool.db');
  if (stateVersion === 1 && existsSync(database)) {
    const { migrateVersion1 } = await import('../events/spool/version-1.ts');
    await migrateVersion1({ database, folders, log });
  }
  return folders;
}

/** Each role has groups of its own: those of its account. */
function retentionWishes(spool: Spool, roleOf: string | undefined): RetentionWishes {
  const source = roleOf === undefined ? wishesSource : `${wishesSource}.${roleOf}`;
  return {
    list: () => [...spool.position(source).keys()],
    add: (item) => spool.keep([{ source, item, value: '' }]),
    remove: (item) => spool.keep([{ source, item, value: undefined }]),
  };
}

async function sayWhenSettled(id: number, chains: readonly ChainedSource[]): Promise<void> {
  const settled = await Promise.all(chains.map((chain) => chain.settled()));
  say({ kind: 'audit-settled', id, isSettled: settled.every(Boolean) });
}

function statusOf(
  line: Pipeline,
  chains: readonly ChainedSource[],
  redaction: Redactor | undefined,
): EventsStatus {
  const status = withAudit(line.status(), chains);
  return redaction === undefined ? status : { ...status, redaction: redaction.status() };
}
