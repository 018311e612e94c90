import type { Log } from '../base/log-events.ts';
import type { StreamName } from './batch.ts';
import type { EventsConfig } from './config.ts';
import { eventsEvent } from './log-events.ts';
import { expandTemplate, type NameKind, type TemplateValues } from './template.ts';

/** Names remembered, so that each replaced one is said once. */
const namesMax = 10_000;

/** Where the lines of one source go: the templates of the config, filled in. */
export function streamNames(
  source: string,
  config: EventsConfig,
  values: TemplateValues,
  log: Log,
): (file: string | undefined) => StreamName {
  const own = config.sources[source];
  const templates = {
    logGroup: own?.logGroup ?? config.logGroup,
    logStream: own?.logStream ?? config.logStream,
  };
  const roleOf = own?.roleArn === undefined ? {} : { roleOf: source };
  const names = new Map<string | undefined, StreamName>();

  function expand(kind: NameKind, file: string | undefined): string {
    const known = { ...values, source, ...(file === undefined ? {} : { file }) };
    const { name, isChanged } = expandTemplate(kind, templates[kind], known);
    if (isChanged) log(eventsEvent('events.name-replaced', { kind, name, source }));
    return name;
  }

  return (file) => {
    const known = names.get(file);
    if (known !== undefined) return known;
    const stream = { logGroup: expand('logGroup', file), logStream: expand('logStream', file), ...roleOf };
    if (names.size >= namesMax) names.clear();
    names.set(file, stream);
    return stream;
  };
}
