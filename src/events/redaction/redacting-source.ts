import { aborted } from '../../base/aborted.ts';
import type { EventSource } from '../event-source.ts';
import type { RedactionStage, Redactor } from './redactor.ts';

export interface RedactingSourceOptions {
  readonly name: string;
  readonly source: EventSource;
  /** Absent where secrets are to stay in what is shipped. */
  readonly redactor: Pick<Redactor, 'redact'> | undefined;
  /** Its own memory of lines that go on: a source that is redacted twice needs two. */
  readonly stage?: RedactionStage;
  /** Resolves when the secrets of this host are known: before that nothing is read. */
  readonly known: Promise<void>;
}

/** The same lines without the host's secrets in them. Its guarantee on kill is that of `source`. */
export function redactingSource({
  name,
  source,
  redactor,
  stage,
  known,
}: RedactingSourceOptions): EventSource {
  return {
    async *chunks(from, signal) {
      await Promise.race([known, aborted(signal)]);
      if (signal.aborted) return;
      for await (const chunk of source.chunks(from, signal)) {
        yield redactor === undefined ? chunk : { ...chunk, bytes: redactor.redact(name, chunk, stage) };
      }
    },
    counts: () => source.counts(),
  };
}
