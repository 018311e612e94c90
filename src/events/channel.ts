import type { ErrorReport } from '../base/errors.ts';
import type { LogEvent } from '../base/log-events.ts';
import type { EventsConfig } from './config.ts';
import type { DeskQuestion } from './desk.ts';
import type { OutputStream } from './source/output.ts';
import type { EventsStatus } from './status.ts';

/** What the worker starts with: plain data, for it crosses a thread. */
export interface EventsSettings {
  readonly config: EventsConfig;
  /** The bootstrap `name` and the id kept in the state directory. */
  readonly name: string;
  readonly hostId: string;
  readonly hostname: string;
  readonly region: string;
  readonly accountId?: string;
  readonly instanceId?: string;
  /** `allow.readFrom`. */
  readonly readFrom: readonly string[];
  /** The spool lies in it; */
  readonly stateDirectory: string;
  /** in the form of this version, until it is migrated. */
  readonly stateVersion: number;
  /** The environment variables that AWS clients honour, and no others. */
  readonly env: Readonly<Record<string, string>>;
}

/** A data key as it crosses: the receiver's own copy, which it wraps and overwrites. */
export interface PlainDataKey {
  readonly keyId: string;
  readonly key: Uint8Array;
  readonly madeMs: number;
}

/** The first message. */
export interface WorkerStart {
  readonly settings: EventsSettings;
  /** Whether the spool is sealed. */
  readonly isSealed: boolean;
  /** Absent where it is not, or where the key is not to be had yet. */
  readonly dataKey: PlainDataKey | undefined;
}

/** Which data key is asked for: the one to seal with, a new one, or one by its id. */
export type WantedKey =
  | { readonly kind: 'current' }
  | { readonly kind: 'fresh' }
  | { readonly kind: 'kept'; readonly keyId: string };

/** Credentials as they cross: in clear, between two threads of one process, wrapped again on arrival. */
export interface PlainCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** A call that AWS denied because of the credentials that signed it. */
export interface CredentialsDenial {
  readonly service: string;
  readonly awsError: string;
  readonly accessKeyId: string;
  readonly mayBePermission: boolean;
}

/** From the main thread to the worker. */
export type ToWorker =
  | { readonly kind: 'audit'; readonly line: string }
  | { readonly kind: 'audit-settled-wanted'; readonly id: number }
  | { readonly kind: 'credentials'; readonly id: number; readonly credentials: PlainCredentials }
  | { readonly kind: 'credentials-renewed'; readonly id: number; readonly areNewer: boolean }
  | { readonly kind: 'credentials-not-renewed'; readonly id: number; readonly code: string }
  | { readonly kind: 'no-credentials'; readonly id: number; readonly code: string }
  | { readonly kind: 'data-key'; readonly id: number; readonly dataKey: PlainDataKey }
  | { readonly kind: 'no-data-key'; readonly id: number; readonly code: string; readonly isLost: boolean }
  | { readonly kind: 'status-wanted'; readonly id: number }
  /** A value that must not be shipped, in clear: moved, not copied, wrapped and overwritten on arrival. */
  | { readonly kind: 'redact'; readonly id: number; readonly secret: string; readonly value: Uint8Array }
  /** The secrets there are; with the first of these sources are read. */
  | { readonly kind: 'secrets'; readonly names: readonly string[] }
  | { readonly kind: 'asked'; readonly id: number; readonly question: DeskQuestion }
  /** What the workload wrote; moved, not copied. Undefined: that was all. */
  | { readonly kind: 'output'; readonly stream: OutputStream; readonly bytes: Uint8Array | undefined }
  | { readonly kind: 'stop'; readonly deadlineMs: number };

/** Whose credentials it is about: those of the role that `StreamName.roleOf` leads to. */
interface UnderRole {
  readonly roleOf: string | undefined;
}

/** From the worker to the main thread. */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'log'; readonly event: LogEvent }
  | { readonly kind: 'audit-taken' }
  | { readonly kind: 'output-taken'; readonly bytes: number }
  | { readonly kind: 'audit-settled'; readonly id: number; readonly isSettled: boolean }
  | ({ readonly kind: 'credentials-wanted'; readonly id: number } & UnderRole)
  /** AWS denied the credentials of a call: are there newer ones? */
  | ({
      readonly kind: 'credentials-denied';
      readonly id: number;
      readonly denial: CredentialsDenial;
    } & UnderRole)
  | ({ readonly kind: 'credentials-denied-again'; readonly denial: CredentialsDenial } & UnderRole)
  | ({
      readonly kind: 'credentials-accepted';
      readonly service: string;
      readonly accessKeyId: string | undefined;
    } & UnderRole)
  | { readonly kind: 'data-key-wanted'; readonly id: number; readonly wanted: WantedKey }
  | { readonly kind: 'data-keys-in-use'; readonly keyIds: readonly string[] }
  | { readonly kind: 'status'; readonly id: number; readonly status: EventsStatus }
  | { readonly kind: 'redacting'; readonly id: number }
  | { readonly kind: 'answered'; readonly id: number; readonly answer: unknown }
  | { readonly kind: 'not-answered'; readonly id: number; readonly report: ErrorReport }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'fatal'; readonly report: ErrorReport };

/** Questions whose answers come by message. */
export interface Questions<Answer> {
  /** Asks with a number of its own; the answer comes with the same number. */
  ask(send: (id: number) => void): Promise<Answer>;
  answer(id: number, answer: Answer): void;
  refuse(id: number, error: unknown): void;
  /** Refuses all that wait, and all to come. */
  close(error: unknown): void;
}

export function questions<Answer>(): Questions<Answer> {
  const waiting = new Map<number, PromiseWithResolvers<Answer>>();
  let lastId = 0;
  let closed: { readonly error: unknown } | undefined;

  function take(id: number): PromiseWithResolvers<Answer> | undefined {
    const question = waiting.get(id);
    waiting.delete(id);
    return question;
  }

  return {
    async ask(send) {
      if (closed !== undefined) throw closed.error;
      lastId += 1;
      const question = Promise.withResolvers<Answer>();
      waiting.set(lastId, question);
      send(lastId);
      return question.promise;
    },
    answer: (id, answer) => take(id)?.resolve(answer),
    refuse: (id, error) => take(id)?.reject(error),
    close(error) {
      closed = { error };
      for (const id of waiting.keys()) take(id)?.reject(error);
    },
  };
}
