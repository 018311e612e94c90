/** The text of `~/.aws/config` and `~/.aws/credentials`, changed without touching what is not meant. */

/** One section, by the words in its brackets: `profile web`, `default`. */
export interface Section {
  /** Settings at its first level, by lower-case name; the last one of a name counts. */
  readonly settings: ReadonlyMap<string, string>;
}

const header = /^\s*\[([^\]]*)\]/u;
/** Python's SDKs take a colon for a sign of equality, and a file in which a name then stands twice for none at all. */
const setting = /^([A-Za-z][\w-]*)\s*[=:]\s*(.*?)\s*$/u;

/** The section of this name; undefined where there is none. The first one counts. */
export function sectionIn(text: string, name: string): Section | undefined {
  const lines = text.split(/\r?\n/u);
  const range = rangeOf(lines, name);
  if (range === undefined) return undefined;
  const settings = lines.slice(range.start + 1, range.end).flatMap((line): [string, string][] => {
    const [, key = '', value = ''] = setting.exec(line) ?? [];
    return key === '' ? [] : [[key.toLowerCase(), value]];
  });
  return { settings: new Map(settings) };
}

/** The text with these settings in the section, which is added at the end where it is not there. */
export function withSettings(text: string, name: string, settings: Readonly<Record<string, string>>): string {
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const lines = text.split(/\r?\n/u);
  const fresh = new Map(Object.entries(settings));
  const range = rangeOf(lines, name);
  if (range === undefined) {
    // Blank lines at the end are not meant to stay; white space at the end of the last line with something in it is.
    const said = lines.slice(0, lines.findLastIndex((line) => line.trim() !== '') + 1);
    const before = said.length === 0 ? [] : [...said, ''];
    return [...before, `[${name}]`, ...written(fresh), ''].join(end);
  }
  const body = lines.slice(range.start + 1, range.end).map((line) => {
    const [, key = ''] = setting.exec(line) ?? [];
    const value = fresh.get(key.toLowerCase());
    if (value === undefined) return line;
    fresh.delete(key.toLowerCase());
    return `${key.toLowerCase()} = ${value}`;
  });
  // Behind the last line that says something: blank lines and comments before the next section belong to that.
  const last = body.findLastIndex((line) => /^[^\s#;]|^\s+[^\s#;]/u.test(line));
  body.splice(last + 1, 0, ...written(fresh));
  return [...lines.slice(0, range.start + 1), ...body, ...lines.slice(range.end)].join(end);
}

function written(settings: ReadonlyMap<string, string>): string[] {
  return [...settings].map(([key, value]) => `${key} = ${value}`);
}

/** Lines of a section: its header, and the one behind its last. */
function rangeOf(lines: readonly string[], name: string): { start: number; end: number } | undefined {
  const start = lines.findIndex((line) => nameIn(line) === name);
  if (start === -1) return undefined;
  const length = lines.slice(start + 1).findIndex((line) => header.test(line));
  return { start, end: length === -1 ? lines.length : start + 1 + length };
}

function nameIn(line: string): string | undefined {
  const [, inside] = header.exec(line) ?? [];
  return inside
    ?.trim()
    .split(/\s+/u)
    .map((word) => word.replaceAll(/^(["'])(.*)\1$/gu, '$2'))
    .join(' ');
}
