import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { SourceConfig } from '../../events/config.ts';
import type { EventSource } from '../../events/event-source.ts';
import type { RedactionStage } from '../../events/redaction/redactor.ts';
import { fileSource } from '../../events/source/file.ts';

export interface EventSourceDeps {
  readonly hostId: string;
  /** What gives the output of the workload. */
  readonly output: () => EventSource;
  /** Fields of events that the source's stream is named by. */
  readonly fields: readonly string[];
  /** `allow.readFrom`. */
  readonly readFrom: readonly string[];
  /** Takes the host's secrets out of what a program says beside its lines; absent where they are not looked for. */
  readonly redacted: ((said: Buffer) => Buffer) | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The source of other programs' lines that a config describes; undefined for our own audit. `shipped` takes out of lines
 * what must not leave this host: of lines as they were written, whose forms it knows, and of what was made of them, since
 * decoding or joining lines may bring out what they hid.
 */
export function eventSource(
  name: string,
  config: SourceConfig,
  shipped: (source: EventSource, stage: RedactionStage) => EventSource,
  deps: EventSourceDeps,
): EventSource | undefined {
  const plain = config.exec === undefined ? plainSource(name, config, deps) : deps.output();
  if (plain === undefined) return undefined;
  const { fields, hostId, clock, log } = deps;
  if (!isTransforming(config) && fields.length === 0) return shipped(plain, 'read');
  return loaded(async () => {
    const { transforming } = await import('../../events/transform/transform.ts');
    const { locating } = await import('../../events/transform/coordinates.ts');
    const source = shipped(config.coordinates === undefined ? plain : locating(plain), 'read');
    return shipped(transforming({ name, source, config, fields, hostId, clock, log }), 'made');
  });
}

/** Whether a config asks for anything that needs the lines one by one. */
function isTransforming({
  container,
  multiline,
  filter,
  timestamp,
  json,
  coordinates,
}: SourceConfig): boolean {
  return [container, multiline, filter, timestamp, json, coordinates].some((each) => each !== undefined);
}

function plainSource(
  name: string,
  config: SourceConfig,
  { readFrom, redacted, clock, log }: EventSourceDeps,
): EventSource | undefined {
  const { files, journald, syslog, stdin, http } = config;
  if (files !== undefined) {
    const { exclude = [], encoding = 'auto' } = config;
    return fileSource({ name, files, exclude, encoding, readFrom, clock, log });
  }
  if (journald !== undefined) {
    return loaded(async () => {
      const { journaldSource, ownMachineId } = await import('../../events/source/journald.ts');
      const { followCommand } = await import('../../system/command.ts');
      return journaldSource({
        name,
        ...journald,
        machineId: ownMachineId(),
        follow: followCommand,
        redacted,
        clock,
        log,
      });
    });
  }
  if (syslog !== undefined) {
    return loaded(async () => {
      const { syslogSource } = await import('../../events/source/syslog.ts');
      return syslogSource({ name, ...syslog, clock, log });
    });
  }
  if (http !== undefined) {
    return loaded(async () => {
      const { httpSource } = await import('../../events/source/http.ts');
      return httpSource({ name, ...http, clock, log });
    });
  }
  if (stdin !== undefined) {
    return loaded(async () => {
      const { stdinSource } = await import('../../events/source/stdin.ts');
      return stdinSource({ name, clock, log });
    });
  }
  return undefined;
}

/** A source whose modules are loaded when it is read: most hosts have files alone. */
function loaded(load: () => Promise<EventSource>): EventSource {
  let source: EventSource | undefined;
  return {
    async *chunks(from, signal) {
      source = await load();
      yield* source.chunks(from, signal);
    },
    counts: () => source?.counts() ?? { lagBytes: 0, items: 0 },
  };
}
