import type { Pattern } from './pattern.ts';

/** Follows the lines of one file: whether a line goes on with the event before it. Asked once for each, in order. */
export type Joining = (line: string) => boolean;

export const presets = ['java', 'python', 'go', 'node'] as const;
export type Preset = (typeof presets)[number];

/** Our own patterns are RegExp: none of them can run for long on any line. */
const javaRest =
  /^(?:\s+(?:at |\.\.\. \d|- |\[CIRCULAR)|\s*(?:Caused by|Suppressed): |(?:[A-Za-z_$][\w$]*\.)+[\w$]*(?:Exception|Error|Throwable)\b)/u;
const nodeRest = /^(?:\s+(?:at |\.\.\. \d|\[|\w+: )|\s*[\]}],?\s*$|\s*\^+\s*$)/u;
const pythonStart =
  /^\s*(?:Traceback \(most recent call last\):|(?:During handling of|The above exception was))/u;
const pythonBetween =
  /^(?:During handling of the above exception|The above exception was the direct cause|\s*$)/u;
const goStart = /^(?:panic: |fatal error: |goroutine \d+ \[)/u;
const goRest =
  /^(?:\s|$|goroutine \d+ \[|created by |panic: |\[signal |exit status \d|[\w./-]{1,200}\.[\w.*()[\]]{1,200}\(.{0,1000}\)$)/u;

const newJoining: Readonly<Record<Preset, () => Joining>> = {
  java: () => (line) => javaRest.test(line),
  node: () => (line) => nodeRest.test(line),

  // The line after the indented ones is the exception, and belongs to them.
  python() {
    let place: 'outside' | 'inside' | 'after' = 'outside';
    return (line) => {
      if (pythonStart.test(line)) {
        const isJoined = place !== 'outside';
        place = 'inside';
        return isJoined;
      }
      if (place === 'inside') {
        if (!/^\s/u.test(line)) place = 'after';
        return true;
      }
      if (place === 'after' && pythonBetween.test(line)) return true;
      place = 'outside';
      return false;
    };
  },

  go() {
    let isInside = false;
    return (line) => {
      const isJoined = isInside && goRest.test(line);
      isInside = isJoined || goStart.test(line);
      return isJoined;
    };
  },
};

export interface JoiningRule {
  readonly preset?: Preset | undefined;
  /** A line that begins an event. */
  readonly start?: Pattern | undefined;
  /** A line that goes on with the event before. */
  readonly continuation?: Pattern | undefined;
  /** A line that ends one. */
  readonly end?: Pattern | undefined;
}

export function joiningOf({ preset, start, continuation, end }: JoiningRule): () => Joining {
  if (preset !== undefined) return newJoining[preset];
  if (start !== undefined) return () => (line) => !start(line);
  if (continuation !== undefined) return () => (line) => continuation(line);
  return () => {
    let isEnded = true;
    return (line) => {
      const isJoined = !isEnded;
      isEnded = end === undefined || end(line);
      return isJoined;
    };
  };
}
