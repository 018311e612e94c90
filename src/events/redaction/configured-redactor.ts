import type { EventsConfig } from '../config.ts';
import { type Redactor, type RedactorOptions, redactor } from './redactor.ts';

/**
 * What `events.redaction` asks for; undefined where everything is shipped as it is. Loads the engine of patterns only
 * where there are any.
 * @throws EVENTS_PATTERN_INVALID
 */
export async function configuredRedactor(
  { secrets, patterns }: EventsConfig['redaction'],
  options: Pick<RedactorOptions, 'clock' | 'log'>,
): Promise<Redactor | undefined> {
  if (Object.keys(patterns).length === 0) return secrets ? redactor(options) : undefined;
  const { patternSearch } = await import('./pattern-search.ts');
  const both = redactor({ ...options, patterns: await patternSearch(patterns) });
  return secrets ? both : { ...both, learn: () => undefined };
}
