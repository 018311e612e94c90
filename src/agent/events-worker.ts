import { once } from 'node:events';
import { parentPort } from 'node:worker_threads';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { systemClock } from '../base/clock.ts';
import { reportOf } from '../base/errors.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import {
  type EventsSettings,
  type FromWorker,
  type PlainCredentials,
  questions,
  type ToWorker,
  type WorkerStart,
} from '../events/channel.ts';
import { eventsError } from '../events/errors.ts';
import { type PipelineSource, pipeline } from '../events/pipeline.ts';
import { cloudwatchLogsSink, type RetentionWishes } from '../events/sink/cloudwatch-logs.ts';
import { type AuditSource, auditSource } from '../events/source/audit.ts';
import { fileSource } from '../events/source/file.ts';
import { sqliteSpool } from '../events/spool/sqlite.ts';
import type { Spool } from '../events/spool.ts';
import { streamNames } from '../events/stream-names.ts';
import type { Credentials } from '../identity/credential-source.ts';
import { type AwsClientOptions, awsClientConfig, renewsExpired } from './aws-client.ts';

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
async function work({ settings, dataKey }: WorkerStart): Promise<void> {
  const clock = systemClock;
  const asked = questions<PlainCredentials>();
  const askFor = async (renewed: boolean): Promise<Credentials> =>
    wrapped(await asked.ask((id) => say({ kind: 'credentials-wanted', id, renewed })));

  try {
    const key = dataKey === undefined ? undefined : Secret.ofBytes(dataKey);
    dataKey?.fill(0);
    const { config, region, env, spoolPath } = settings;
    const spool = sqliteSpool({
      path: spoolPath,
      bytesMax: config.spool.bytesMax,
      dataKey: key,
      allowClearSpool: config.spool.allowClearSpool,
      clock,
      log,
    });
    const access: AwsClientOptions = {
      env,
      region,
      credentials: () => askFor(false),
      renew: () => askFor(true),
    };
    const client = renewsExpired(
      // One attempt: the pipeline tries again, on its own clock, until the batch is taken.
      new CloudWatchLogsClient({ ...awsClientConfig('CLOUDWATCH_LOGS', access), maxAttempts: 1 }),
      access,
    );
    const sink = cloudwatchLogsSink({
      client,
      createLogGroup: config.createLogGroup,
      retentionDays: config.retentionDays,
      retentionWishes: retentionWishes(spool),
      clock,
      log,
    });
    const { sources, audits } = sourcesOf(settings);
    const line = pipeline({ sources, spool, sink, clock, log });

    parentPort?.on('message', (message: ToWorker) => {
      switch (message.kind) {
        case 'audit':
          for (const audit of audits) audit.push(message.line);
          say({ kind: 'audit-taken' });
          break;
        case 'credentials':
          asked.answer(message.id, message.credentials);
          break;
        case 'no-credentials':
          asked.refuse(message.id, eventsError('EVENTS_CREDENTIALS_UNAVAILABLE', { code: message.code }));
          break;
        case 'status-wanted':
          say({ kind: 'status', id: message.id, status: line.status() });
          break;
        case 'stop':
          void line.drain(message.deadlineMs);
          break;
      }
    });
    say({ kind: 'ready' });
    await line.run(new AbortController().signal);
    client.destroy();
    spool.close();
    key?.dispose();
    say({ kind: 'stopped' });
  } catch (error) {
    say({ kind: 'fatal', report: reportOf(error) });
  } finally {
    parentPort?.close();
  }
}

function wrapped({ accessKeyId, secretAccessKey, sessionToken }: PlainCredentials): Credentials {
  return {
    accessKeyId,
    secretAccessKey: Secret.ofText(secretAccessKey),
    ...(sessionToken === undefined ? {} : { sessionToken: Secret.ofText(sessionToken) }),
    source: 'agent',
  };
}

function retentionWishes(spool: Spool): RetentionWishes {
  return {
    list: () => [...spool.position(wishesSource).keys()],
    add: (item) => spool.keep([{ source: wishesSource, item, value: '' }]),
    remove: (item) => spool.keep([{ source: wishesSource, item, value: undefined }]),
  };
}

function sourcesOf(settings: EventsSettings) {
  const { config, readFrom, name, hostId, hostname, region, accountId, instanceId } = settings;
  const values = {
    name,
    hostId,
    hostname,
    region,
    ...(accountId === undefined ? {} : { accountId }),
    ...(instanceId === undefined ? {} : { instanceId }),
  };
  const audits: AuditSource[] = [];
  const sources = Object.entries(config.sources).map(([source, own]): PipelineSource => {
    const streamOf = streamNames(source, config, values, log);
    if (own.files === undefined) {
      const audit = auditSource({ name: source, clock: systemClock, log });
      audits.push(audit);
      return { name: source, source: audit, streamOf };
    }
    const exclude = own.exclude ?? [];
    const files = fileSource({ name: source, files: own.files, exclude, readFrom, clock: systemClock, log });
    return { name: source, source: files, streamOf };
  });
  return { sources, audits };
}
