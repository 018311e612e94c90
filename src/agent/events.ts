import { Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { type ErrorReport, type GatehouseError, reportOf } from '../base/errors.ts';
import type { Log } from '../base/log-events.ts';
import type { Secret } from '../base/secret.ts';
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
import type { DeskQuestion } from '../events/desk.ts';
import { eventsError, isEventsErrorCode } from '../events/errors.ts';
import { eventsEvent } from '../events/log-events.ts';
import type { OutputStream } from '../events/source/output.ts';
import type { DataKey, KeyKeeper } from '../events/spool/data-keys.ts';
import type { EventsStatus } from '../events/status.ts';
import { wake } from '../events/wake.ts';
import type { Credentials } from '../identity/credential-source.ts';
import type { Denial, Denials } from '../identity/denials.ts';
import { codeCacheEnvironment } from '../system/code-cache.ts';
import type { AuditRecord } from './recorder.ts';

export interface EventsOptions {
  /** A thread that was started ahead, which is then this pipeline's own. */
  readonly thread?: Worker | undefined;
  readonly settings: EventsSettings;
  /** Of the streams that name this source as that of their role (`StreamName.roleOf`), or of all others. */
  readonly access: (roleOf: string | undefined) => EventsAccess;
  /** Who keeps the keys that seal the spool; absent: it is in clear. */
  readonly keys?: KeyKeeper | undefined;
  /** The key to begin with, where it could be had; the worker gets a copy. */
  readonly dataKey?: DataKey | undefined;
  readonly log: Log;
  readonly clock: Clock;
}

/** With what AWS is asked to take events. */
export interface EventsAccess {
  /** Asked before each call to AWS: must answer from memory where it can. */
  readonly credentials: (signal: AbortSignal) => Promise<Credentials>;
  /** Asked when AWS denies them. */
  readonly denials: Denials;
}

/** The events pipeline, running in its worker. */
export interface Events {
  /** Hands an audit record to the sources that ship them. */
  audit(record: AuditRecord): void;
  /**
   * Resolves when every audit record handed over so far is durable in the spool.
   * @throws EVENTS_AUDIT_BLOCKED when one was lost or cannot be made durable in time
   */
  audited(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when this value of a secret is no longer shipped, whoever logs it. Before that no consumer may have it.
   * @throws EVENTS_WORKER_DIED
   */
  redact(secret: string, value: Secret): Promise<void>;
  /**
   * Hands over what the workload wrote, or that this was all. Resolves when there is room for more: while the spool is
   * full the workload waits, unless it is to lose what it writes.
   */
  output(stream: OutputStream, bytes: Uint8Array<ArrayBuffer> | undefined): Promise<void>;
  /** Says which secrets there are, once their values were told. With the first call sources begin to be read. */
  secretsAre(names: readonly string[]): void;
  status(): Promise<EventsStatus>;
  /** Asks what an operator wants to know or have done. @throws EVENTS_… */
  ask(question: DeskQuestion): Promise<unknown>;
  /** Whether events waited without moving when the status was last asked for. */
  readonly isWedged: boolean;
  /**
   * Stops intake, sends what time allows, keeps the rest in the spool. Resolves when the worker has ended, at once when
   * it had ended before.
   */
  stop(deadlineMs: number): Promise<void>;
  /** Resolves after `stop`; rejects when the worker ends without it. */
  readonly done: Promise<void>;
}

/** Output of the workload on its way to the worker. */
const outputBytesMax = 2 ** 20;
/** Audit records on their way to the worker. More than what waits in the recorder, which comes all at once. */
const auditsUnderWayMax = 10_000;
/** What records may take to become durable. They wait for company for a quarter of a second. */
const auditMsMax = 5_000;
/** What stopping may take beyond its deadline before the worker is ended: safe, for the spool is durable. */
const graceMs = 2_000;

/**
 * Starts the worker and resolves when its spool is open. Abort ends the worker at once.
 * @throws EVENTS_SPOOL_… when the spool cannot be opened, EVENTS_WORKER_DIED
 */
export async function startEvents(options: EventsOptions, signal: AbortSignal): Promise<Events> {
  const { settings, access, keys, dataKey, log, clock } = options;
  signal.throwIfAborted();
  const worker = options.thread ?? eventsThread();
  // Of a thread that has ended there is no more to hear.
  if (worker.threadId === -1) throw eventsError('EVENTS_WORKER_DIED');
  const send = (message: ToWorker): void => worker.postMessage(message, []);
  const statuses = questions<EventsStatus>();
  const answers = questions<unknown>();
  const redactions = questions<void>();
  let outputBytes = 0;
  const outputRoom = { stdout: wake(), stderr: wake() };
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let auditsUnderWay = 0;
  let hasEnded = false;
  let isWedged = false;
  /** Records lost on the way since there was last room; told of when there is room again. */
  let auditsDropped = 0;
  const settlements = questions<boolean>();

  worker.on('message', (message: FromWorker) => {
    switch (message.kind) {
      case 'ready':
        ready.resolve();
        break;
      case 'log':
        log(message.event);
        break;
      case 'audit-taken':
        auditsUnderWay -= 1;
        noteAuditRoom();
        break;
      case 'output-taken':
        outputBytes -= message.bytes;
        ringOutput();
        break;
      case 'audit-settled':
        settlements.answer(message.id, message.isSettled);
        break;
      case 'credentials-wanted':
        void answerCredentials(message.id, message.roleOf);
        break;
      case 'credentials-denied':
        void answerDenial(message.id, message.roleOf, message.denial);
        break;
      case 'credentials-denied-again':
        access(message.roleOf).denials.again(message.denial);
        break;
      case 'credentials-accepted':
        access(message.roleOf).denials.accepted(message.service, message.accessKeyId);
        break;
      case 'answered':
        answers.answer(message.id, message.answer);
        break;
      case 'not-answered':
        answers.refuse(message.id, fatal(message.report));
        break;
      case 'data-key-wanted':
        void answerDataKey(message.id, message.wanted);
        break;
      case 'data-keys-in-use':
        keys?.keepOnly(message.keyIds);
        break;
      case 'status':
        isWedged = message.status.wedgedMs !== undefined;
        statuses.answer(message.id, message.status);
        break;
      case 'redacting':
        redactions.answer(message.id, undefined);
        break;
      case 'stopped':
        ended.resolve();
        break;
      case 'fatal':
        ended.reject(fatal(message.report));
        break;
    }
  });
  worker.on('error', (error) => ended.reject(eventsError('EVENTS_WORKER_DIED', {}, error)));
  worker.on('exit', (exitCode) => ended.reject(eventsError('EVENTS_WORKER_DIED', { exitCode })));
  signal.addEventListener('abort', () => void end(signal.reason), { once: true });
  const onEnd = (error: unknown): void => {
    hasEnded = true;
    ringOutput();
    statuses.close(error);
    answers.close(error);
    redactions.close(error);
    settlements.close(error);
  };
  ended.promise.then(
    () => onEnd(eventsError('EVENTS_WORKER_DIED')),
    (error: unknown) => {
      onEnd(error);
      ready.reject(error);
    },
  );

  /** Once for all that were lost since there was last room. */
  function noteAuditRoom(): void {
    if (auditsDropped === 0 || auditsUnderWay > auditsUnderWayMax / 2) return;
    const records = auditsDropped;
    auditsDropped = 0;
    log(eventsEvent('events.audit-dropped', { source: 'agent', records }));
  }

  async function answerCredentials(id: number, roleOf: string | undefined): Promise<void> {
    try {
      send({ kind: 'credentials', id, credentials: plain(await access(roleOf).credentials(signal)) });
    } catch (error) {
      send({ kind: 'no-credentials', id, code: reportOf(error).code });
    }
  }

  async function answerDenial(id: number, roleOf: string | undefined, denial: Denial): Promise<void> {
    try {
      const areNewer = await access(roleOf).denials.renew(denial, signal);
      send({ kind: 'credentials-renewed', id, areNewer });
    } catch (error) {
      send({ kind: 'credentials-not-renewed', id, code: reportOf(error).code });
    }
  }

  async function answerDataKey(id: number, wanted: WantedKey): Promise<void> {
    try {
      if (keys === undefined) throw eventsError('EVENTS_SPOOL_KEY_MISSING');
      const plainKey = plainDataKey(await wantedOf(keys, wanted));
      worker.postMessage({ kind: 'data-key', id, dataKey: plainKey } satisfies ToWorker, [
        plainKey.key.buffer,
      ]);
    } catch (error) {
      const { code, details } = reportOf(error);
      const { code: cause } = details;
      const isLost = code === 'EVENTS_SPOOL_KEY_LOST';
      send({ kind: 'no-data-key', id, code: typeof cause === 'string' ? cause : code, isLost });
    }
  }

  function ringOutput(): void {
    for (const room of Object.values(outputRoom)) room.ring();
  }

  /** Where nobody reads it any more the workload must not wait for that. */
  function isOutputFull(): boolean {
    return outputBytes > outputBytesMax && !hasEnded && !signal.aborted;
  }

  async function end(reason: unknown): Promise<void> {
    ended.reject(reason);
    await worker.terminate();
  }

  startWork(worker, settings, keys !== undefined, dataKey);
  await ready.promise;
  return {
    audit(record) {
      if (auditsUnderWay >= auditsUnderWayMax) {
        auditsDropped += 1;
        if (auditsDropped === 1) log(eventsEvent('events.audit-full', { source: 'agent' }));
        return;
      }
      auditsUnderWay += 1;
      send({ kind: 'audit', line: JSON.stringify(record) });
    },

    async audited(within) {
      const isSettled =
        auditsDropped === 0 &&
        (await clock
          .deadline(auditMsMax, 'audit', within, () =>
            settlements.ask((id) => send({ kind: 'audit-settled-wanted', id })),
          )
          .catch((error: unknown) => {
            within.throwIfAborted();
            throw eventsError('EVENTS_AUDIT_BLOCKED', {}, error);
          }));
      if (!isSettled) throw eventsError('EVENTS_AUDIT_BLOCKED');
    },

    redact: (secret, value) =>
      redactions.ask((id) => {
        const own = new Uint8Array(value.revealBytes());
        worker.postMessage({ kind: 'redact', id, secret, value: own } satisfies ToWorker, [own.buffer]);
      }),

    async output(stream, bytes) {
      outputBytes += bytes?.length ?? 0;
      worker.postMessage(
        { kind: 'output', stream, bytes } satisfies ToWorker,
        bytes === undefined ? [] : [bytes.buffer],
      );
      if (bytes === undefined) return;
      while (isOutputFull()) await outputRoom[stream].rung(signal);
    },

    secretsAre: (names) => send({ kind: 'secrets', names }),

    ask: (question) => answers.ask((id) => send({ kind: 'asked', id, question })),

    get isWedged() {
      return isWedged;
    },

    status: () => statuses.ask((id) => send({ kind: 'status-wanted', id })),

    async stop(deadlineMs) {
      // How it ended, `done` has said.
      if (hasEnded) return;
      send({ kind: 'stop', deadlineMs });
      const waited = new AbortController();
      const late = clock.sleep(deadlineMs + graceMs, waited.signal).then(
        () => 'late' as const,
        () => undefined,
      );
      try {
        if ((await Promise.race([ended.promise, late])) === 'late') ended.resolve();
      } finally {
        waited.abort();
        await worker.terminate();
      }
    },

    done: ended.promise,
  };
}

/** The thread of the pipeline, without work: it loads its modules and waits to be told what to do by `startEvents`. */
export function eventsThread(): Worker {
  return new Worker(new URL('./events-worker.ts', import.meta.url), {
    // The SDK looks into the environment by itself; what it is to know, awsClientConfig tells it.
    env: codeCacheEnvironment(),
    name: 'events',
  });
}

function startWork(
  worker: Worker,
  settings: EventsSettings,
  isSealed: boolean,
  dataKey: DataKey | undefined,
): void {
  const own = dataKey === undefined ? undefined : plainDataKey(dataKey);
  const start: WorkerStart = { settings, isSealed, dataKey: own };
  // Moved, not copied: the worker overwrites the only one.
  worker.postMessage(start, own === undefined ? [] : [own.key.buffer]);
}

function wantedOf(keys: KeyKeeper, wanted: WantedKey): Promise<DataKey> {
  if (wanted.kind === 'kept') return keys.open(wanted.keyId);
  return wanted.kind === 'fresh' ? keys.fresh() : keys.current();
}

/** Overwrites the secret that it copies. */
function plainDataKey({
  keyId,
  key,
  madeMs,
}: DataKey): PlainDataKey & { readonly key: Uint8Array<ArrayBuffer> } {
  const own = new Uint8Array(key.revealBytes());
  key.dispose();
  return { keyId, key: own, madeMs };
}

function plain({ accessKeyId, secretAccessKey, sessionToken }: Credentials): PlainCredentials {
  return {
    accessKeyId,
    secretAccessKey: secretAccessKey.revealText(),
    ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.revealText() }),
  };
}

/** The worker's error, again as one of ours. */
function fatal({ code, details, causes, frames }: ErrorReport): GatehouseError {
  if (isEventsErrorCode(code)) return eventsError(code, details);
  return eventsError('EVENTS_WORKER_DIED', { code, causes, ...(frames === undefined ? {} : { frames }) });
}
