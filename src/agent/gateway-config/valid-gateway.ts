import type { Problem } from '../../base/errors.ts';
import { configError } from '../../config/errors.ts';
import { decodeGateway, type GatewayValue, validateGateway } from '../../config/gateway.ts';
import { pathText } from '../../config/path-text.ts';
import { bounded } from '../../config/problems.ts';
import type { EventsConfig } from '../../events/config.ts';
import { patternSearch } from '../../events/redaction/pattern-search.ts';
import { compilePatterns } from '../../events/transform/pattern.ts';
import { type BootstrapConfig, type GatewayConfig, gatewayRules, gatewaySchema } from '../config.ts';

/**
 * The gateway config in a secret's value, valid within the limits that the bootstrap config sets: the events worker, which
 * compiles its patterns at the next start, refuses none of them either. @throws GATEWAY_CONFIG_…
 */
export async function validGateway(bootstrap: BootstrapConfig, value: GatewayValue): Promise<GatewayConfig> {
  const config = validateGateway(gatewaySchema, gatewayRules(bootstrap), decodeGateway(value));
  const problems = config.events === undefined ? [] : await patternProblems(config.events);
  if (problems.length > 0) throw configError('GATEWAY_CONFIG_INVALID', { problems: bounded(problems) });
  return config;
}

/** What only the engine of patterns can tell; it is loaded where there are any. */
async function patternProblems({ sources, redaction: { patterns } }: EventsConfig): Promise<Problem[]> {
  const found = Object.entries(sources).map(async ([name, { multiline, filter }]) => {
    const at = ['events', 'sources', name];
    const { start, continuation, end } = multiline ?? {};
    const all = [
      ...Object.entries({ start, continuation, end }).map(([key, pattern]) => ({
        path: [...at, 'multiline', key],
        pattern,
      })),
      ...Object.entries({ include: filter?.include, exclude: filter?.exclude }).flatMap(([key, each = []]) =>
        each.map((pattern, index) => ({ path: [...at, 'filter', key, index], pattern })),
      ),
    ];
    return problemsOf(all, (pattern) => compilePatterns([pattern]));
  });
  const each = Object.entries(patterns).map(([name, pattern]) => ({
    path: ['events', 'redaction', 'patterns', name],
    pattern,
  }));
  const problems = [
    ...(await Promise.all(found)).flat(),
    ...(await problemsOf(each, (pattern) => patternSearch({ pattern }))),
  ];
  if (problems.length > 0 || each.length === 0) return problems;
  // They are looked for all at once, by one automaton.
  const isTogether = await patternSearch(patterns).then(
    () => true,
    () => false,
  );
  const path = pathText(['events', 'redaction', 'patterns']);
  return isTogether ? [] : [{ path, message: 'are together more than the engine takes' }];
}

async function problemsOf(
  patterns: readonly { readonly path: readonly PropertyKey[]; readonly pattern: string | undefined }[],
  compile: (pattern: string) => Promise<unknown>,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { path, pattern } of patterns) {
    if (pattern === undefined) continue;
    try {
      await compile(pattern);
    } catch {
      problems.push({ path: pathText(path), message: 'must be a regular expression that RE2 takes' });
    }
  }
  return problems;
}
