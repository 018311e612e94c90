import { aborted } from '../../base/aborted.ts';
import type { Chunk, EventSource } from '../event-source.ts';
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
  function redacted(chunk: Chunk, by: Pick<Redactor, 'redact'>): Chunk {
    const bytes = by.redact(name, chunk, stage);
    if (chunk.fields === undefined) return { ...chunk, bytes };
    // They name a stream: decoding may have brought out what the line hid.
    const fields = chunk.fields.map((text) => {
      const whole = { bytes: Buffer.from(text), positions: [], file: undefined, isOneEvent: true };
      return by.redact(name, whole, stage).toString();
    });
    return { ...chunk, bytes, fields };
  }

  return {
    async *chunks(from, signal) {
      await Promise.race([known, aborted(signal)]);
      if (signal.aborted) return;
      for await (const chunk of source.chunks(from, signal)) {
        yield redactor === undefined ? chunk : redacted(chunk, redactor);
      }
    },
    counts: () => source.counts(),
  };
}
