export const containerFormats = ['docker', 'cri'] as const;
export type ContainerFormat = (typeof containerFormats)[number];

/** A line as a container runtime keeps it. */
export interface ContainerLine {
  readonly stream: string;
  readonly text: string;
  /** Its rest comes in another line of the same stream. */
  readonly isPartial: boolean;
  /** RFC 3339. */
  readonly time: string;
}

/** Kubernetes CRI: TIME STREAM TAGS TEXT, the first tag `P` on all parts of a line but its last. */
const cri = /^(\S{1,64}) (stdout|stderr) ([PF])(?::\S*)? ?/u;

/** Undefined for a line that is none. */
export function parseContainerLine(format: ContainerFormat, line: string): ContainerLine | undefined {
  if (format === 'cri') {
    const [whole, time, stream, tag] = cri.exec(line) ?? [];
    if (whole === undefined || time === undefined || stream === undefined) return undefined;
    return { stream, time, isPartial: tag === 'P', text: line.slice(whole.length) };
  }
  return parseDocker(line);
}

/** The json-file driver of Docker: a part of a line has no newline at its end. */
function parseDocker(line: string): ContainerLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('log' in value) || typeof value.log !== 'string')
      return undefined;
    const { log } = value;
    const stream = 'stream' in value ? String(value.stream) : '';
    const time = 'time' in value ? String(value.time) : '';
    return { stream, time, isPartial: !log.endsWith('\n'), text: log.replace(/\r?\n$/u, '') };
  } catch {
    return undefined;
  }
}

/** Follows the lines of one file of a container runtime and joins the parts of each. */
export interface ContainerLines {
  /** The text that is whole now. A line that is none of a container runtime is text as it is. */
  push(line: string): readonly ContainerText[];
  /** What waits for its rest. */
  end(): readonly ContainerText[];
  isEmpty(): boolean;
}

export interface ContainerText {
  readonly text: string;
  /** When its first part was written. */
  readonly timeMs: number | undefined;
}

/** Parts are joined up to this length; what follows is text of its own. */
const joinedLengthMax = 1_000_000;

export function containerLines(format: ContainerFormat): ContainerLines {
  const parts = new Map<string, ContainerText>();

  return {
    push(line) {
      const parsed = parseContainerLine(format, line);
      if (parsed === undefined) return [{ text: line, timeMs: undefined }];
      const { stream, isPartial } = parsed;
      const before = parts.get(stream);
      const timeMs = Date.parse(parsed.time);
      const whole = {
        text: (before?.text ?? '') + parsed.text,
        timeMs: before === undefined ? (Number.isNaN(timeMs) ? undefined : timeMs) : before.timeMs,
      };
      if (isPartial && whole.text.length < joinedLengthMax) {
        parts.set(stream, whole);
        return [];
      }
      parts.delete(stream);
      return [whole];
    },
    end() {
      const all = [...parts.values()];
      parts.clear();
      return all;
    },
    isEmpty: () => parts.size === 0,
  };
}
