import type { Log } from '../base/log-events.ts';
import { headsStream } from './audit/chain.ts';
import type { StreamName } from './batch.ts';
import type { EventsConfig } from './config.ts';
import { eventsEvent } from './log-events.ts';
import { expandTemplate, fieldsOf, type NameKind, nameLengthMax, type TemplateValues } from './template.ts';

/** Names remembered, so that each replaced one is said once. */
const namesMax = 10_000;
/** Streams of one source that events name, where its config does not say how many there may be. */
export const fieldStreamsMax = 100;

/** Where the lines of one source go: the templates of the config, filled in. `fields` are values of the event's own. */
export type StreamOf = (file: string | undefined, fields?: readonly string[]) => StreamName;

/** The fields of events that the stream of a source is named by. */
export function streamFields(source: string, config: EventsConfig): readonly string[] {
  return fieldsOf(config.sources[source]?.logStream ?? config.logStream);
}

export function streamNames(
  source: string,
  config: EventsConfig,
  values: TemplateValues,
  log: Log,
): StreamOf {
  const settings = config.sources[source];
  const templates = {
    logGroup: settings?.logGroup ?? config.logGroup,
    logStream: settings?.logStream ?? config.logStream,
  };
  const streamsMax = settings?.streamsMax ?? fieldStreamsMax;
  const roleOf = settings?.roleArn === undefined ? {} : { roleOf: source };
  const fields = fieldsOf(templates.logStream);
  /** Without a file nothing of it is shipped: somebody only asks for its role. */
  const hasFiles = settings?.files !== undefined || settings?.exec === true;
  const names = new Map<string, StreamName>();
  /** Streams that were named by what events say. */
  const named = new Set<string>();
  const reserved = fields.length === 0 ? new Set<string>() : auditStreams(config, values);
  let isTooManySaid = false;

  function expand(kind: NameKind, file: string | undefined, said: readonly string[]): string {
    const ofFields = Object.fromEntries(
      fields.map((path, index) => [`field.${path}`, said[index] || undefined] as const),
    );
    const known = { ...values, source, ...(file === undefined ? {} : { file }), ...ofFields };
    const { name, isChanged } = expandTemplate(kind, templates[kind], known);
    // That an event lacks a field is no fault of the config.
    const isAsked = hasFiles && file === undefined && said.length === 0;
    if (isChanged && !isAsked && said.every((value) => value !== '')) {
      log(eventsEvent('events.name-replaced', { kind, name, source }));
    }
    return name;
  }

  /** What would name the stream of an audit, or one more than there may be, counts as not said. */
  function logStreamOf(file: string | undefined, said: readonly string[]): string {
    const name = expand('logStream', file, said);
    if (said.every((value) => value === '') || named.has(name)) return name;
    if (!reserved.has(name) && named.size < streamsMax) {
      named.add(name);
      return name;
    }
    if (!isTooManySaid) log(eventsEvent('events.streams-too-many', { source, name, streams: named.size }));
    isTooManySaid = true;
    const unsaid = said.map(() => '');
    return expand('logStream', file, unsaid);
  }

  return (file, said) => {
    // What is beyond a name says nothing, and may be a megabyte that is remembered for every line.
    const own = fields.map((_path, index) => said?.[index]?.slice(0, nameLengthMax + 1) ?? '');
    const key = [file ?? '', ...own].join('\0');
    const known = names.get(key);
    if (known !== undefined) return known;
    const stream = { logGroup: expand('logGroup', file, []), logStream: logStreamOf(file, own), ...roleOf };
    if (names.size >= namesMax) names.clear();
    names.set(key, stream);
    return stream;
  };
}

/** What no event of another program may name: in a chain all else counts as foreign. */
function auditStreams(config: EventsConfig, values: TemplateValues): ReadonlySet<string> {
  const audits = Object.entries(config.sources).filter(([, { audit }]) => audit !== undefined);
  return new Set(
    audits.flatMap(([source, { logStream = config.logStream }]) => {
      const { name } = expandTemplate('logStream', logStream, { ...values, source });
      return [name, headsStream(name)];
    }),
  );
}
