import { eventsError } from '../errors.ts';

/** A place that has what a pattern describes. */
export interface PatternMatch {
  readonly start: number;
  readonly end: number;
  /** Name of the pattern. */
  readonly pattern: string;
}

export interface PatternSearch {
  /** Of the patterns. */
  readonly names: readonly string[];
  /** Every match of every pattern, none empty; those of different patterns may overlap. */
  matchesIn(bytes: Buffer): readonly PatternMatch[];
  /** Whether a match may go over the end of a line. */
  readonly spansLines: boolean;
}

/**
 * Patterns of operators, name → RE2, in a linear-time engine, which is loaded here. `^` and `$` are the ends of a line.
 * @throws EVENTS_PATTERN_INVALID
 */
export async function patternSearch(patterns: Readonly<Record<string, string>>): Promise<PatternSearch> {
  const { RE2JS } = await import('re2js');
  const compile = (pattern: string) => {
    try {
      return RE2JS.compile(pattern, RE2JS.MULTILINE);
    } catch (error) {
      throw eventsError('EVENTS_PATTERN_INVALID', { pattern }, error);
    }
  };
  const each = Object.entries(patterns).map(([name, pattern]) => ({
    name,
    compiled: compile(pattern),
    isLineBound: isLineBound(pattern),
  }));
  // Whether there is anything to find: one automaton for all of them, which costs as much as one of them.
  const any = compile(each.map(({ compiled }) => `(?:${compiled.pattern()})`).join('|'));

  return {
    names: Object.keys(patterns),
    spansLines: each.some((pattern) => !pattern.isLineBound),

    matchesIn(bytes) {
      if (!any.test(bytes)) return [];
      return each.flatMap(({ name, compiled, isLineBound: isByLine }) => {
        if (!compiled.test(bytes)) return [];
        const found: PatternMatch[] = [];
        // Where a match is costs ten times as much to find as whether there is one.
        for (const { from, part } of isByLine ? linesOf(bytes) : [{ from: 0, part: bytes }]) {
          if (isByLine && !compiled.test(part)) continue;
          const matcher = compiled.matcher(part);
          while (matcher.find()) {
            const [start, end] = [from + matcher.start(), from + matcher.end()];
            if (end > start) found.push({ start, end, pattern: name });
          }
        }
        return found;
      });
    },
  };
}

/** Without their newlines. */
function* linesOf(bytes: Buffer): Generator<{ readonly from: number; readonly part: Buffer }> {
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(0x0a, from);
    const to = end < 0 ? bytes.length : end;
    yield { from, part: bytes.subarray(from, to) };
    from = to + 1;
  }
}

/** What may match a newline: white space, whatever is not something, and characters by their numbers or classes. */
const maybeNewline = /\\[sWDSPpCxafnrtvzAQ0-7]|\[\^|\[:|\(\?[A-Za-z]*s|\p{Cc}/u;

/** Sure to match nothing that has a newline in it. */
function isLineBound(pattern: string): boolean {
  return !maybeNewline.test(pattern.replaceAll(/\\S/gu, ''));
}
