import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { constants, inflateRawSync } from 'node:zlib';
import { cellsOf, isDatabase } from './database-cells.ts';

/** A secret made for one test, which is then looked for in everything the test produced. */
export interface Canary {
  /** What findings call it. */
  readonly name: string;
  /** The secret itself; unlike any other. */
  readonly value: string;
  /** Every way of writing it that is looked for. */
  readonly forms: readonly { readonly form: string; readonly bytes: Buffer }[];
}

/** Where a canary was seen. Does not hold its value, so it may be printed. */
export interface Finding {
  readonly canary: string;
  readonly form: string;
  /** A buffer's name, a file's path, `process 123 argv`, `process 123 environment`. */
  readonly place: string;
  /** Bytes from the start of the place. */
  readonly offset: number;
}

export interface SearchedPlaces {
  /** Name → what a stream carried. */
  readonly buffers?: Readonly<Record<string, string | Uint8Array>>;
  /** Searched with everything below them: names, contents, targets of links. */
  readonly directories?: readonly string[];
  /** Running processes; their descendants are searched with them. */
  readonly pids?: readonly number[];
  /** Files that are meant to hold the secret: a delivered one, say. */
  readonly except?: (path: string) => boolean;
}

export interface Search {
  readonly findings: readonly Finding[];
  /** What was looked through; a search of nothing finds nothing, so tests assert on it. */
  readonly searched: { readonly places: readonly string[]; readonly bytes: number };
}

const pieceBytes = 8 * 1024 * 1024;
const gzipMagic = Buffer.from([0x1f, 0x8b, 0x08]);
/** A header without a file name, as every program writes it that compresses what is no file. */
const gzipHeaderBytes = 10;
const inflation = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 64 * 1024 * 1024 };

/**
 * Makes a secret that no two tests share. By default it holds characters that quoting, URLs and JSON each write
 * differently; `plain` keeps to letters and digits.
 */
export function canary(name: string, options: { plain?: boolean } = {}): Canary {
  const core = `Canary${randomBytes(20).toString('hex')}`;
  const value = options.plain === true ? core : `"é&/+ ${core} \\%<é"`;
  return { name, value, forms: formsOf(value, core) };
}

function formsOf(value: string, core: string): Canary['forms'] {
  const bytes = Buffer.from(value);
  const percent = encodeURIComponent(value);
  const texts: readonly (readonly [string, string])[] = [
    ['as it is', value],
    ['JSON-escaped', JSON.stringify(value).slice(1, -1)],
    ['URL-encoded', percent],
    ['URL-encoded', percent.replaceAll('%20', '+')],
    ['hex', bytes.toString('hex')],
    ['hex', bytes.toString('hex').toUpperCase()],
    ...[0, 1, 2].map((shift) => ['base64', inBase64(bytes, shift)] as const),
    ...[0, 1, 2].map((shift) => ['base64url', urlSafe(inBase64(bytes, shift))] as const),
    // Whatever other way of quoting there is, it leaves letters and digits alone.
    ['in part', core],
  ];
  return [...new Map(texts.map(([form, text]) => [text, { form, bytes: Buffer.from(text) }])).values()];
}

/** What is sure to stand in the base64 of any text that holds `bytes` `shift` bytes after a multiple of three. */
function inBase64(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replace(/=+$/u, '');
  const isCut = (shift + bytes.length) % 3 !== 0;
  return text.slice(shift === 0 ? 0 : shift + 1, isCut ? -1 : undefined);
}

function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_');
}

/**
 * Looks for canaries in every given place.
 * @throws when a directory or process is not there: a search that saw nothing must not pass for a clean one
 */
export function searchCanaries(canaries: readonly Canary[], places: SearchedPlaces): Search {
  const findings: Finding[] = [];
  const searched = { places: [] as string[], bytes: 0 };
  const look = (place: string, bytes: Buffer, offset = 0): void => {
    findings.push(...findingsIn(canaries, place, bytes, offset));
    if (offset === 0) searched.places.push(place);
    searched.bytes += bytes.length;
  };

  for (const [name, content] of Object.entries(places.buffers ?? {})) look(name, Buffer.from(content));
  for (const directory of places.directories ?? []) lookInDirectory(directory, places.except ?? none, look);
  for (const pid of places.pids ?? []) lookAtProcesses(pid, look);
  return { findings: distinct(findings), searched };
}

type Look = (place: string, bytes: Buffer, offset?: number) => void;

function none(): boolean {
  return false;
}

/**
 * Folder by folder, each read as soon as it is listed. Not readdir's own recursion, which follows links: those of
 * another system's tree lead into this machine. What vanishes meanwhile is not there.
 */
function lookInDirectory(directory: string, except: (path: string) => boolean, look: Look): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (except(path)) continue;
    look(`name of ${entry.isDirectory() ? 'directory' : 'file'} in ${directory}`, Buffer.from(entry.name));
    if (entry.isSymbolicLink()) look(`link ${path}`, Buffer.from(readlinkSync(path)));
    if (entry.isFile()) lookInFile(path, look);
    if (entry.isDirectory()) ifThere(() => lookInDirectory(path, except, look));
  }
}

/** In pieces that overlap by more than any form is long. */
function lookInFile(path: string, look: Look): void {
  const overlap = 1024;
  const piece = Buffer.alloc(pieceBytes);
  const file = ifThere(() => openSync(path, 'r'));
  if (file === undefined) return;
  try {
    for (let offset = 0; ; offset += pieceBytes - overlap) {
      const length = readSync(file, piece, 0, pieceBytes, offset);
      look(path, piece.subarray(0, length), offset);
      if (offset === 0 && isDatabase(piece)) lookInDatabase(path, look);
      if (length < pieceBytes) return;
    }
  } finally {
    closeSync(file);
  }
}

function lookInDatabase(path: string, look: Look): void {
  for (const { table, bytes } of cellsOf(path)) look(`table ${table} of ${path}`, bytes);
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A process and its descendants, as /proc shows them. Only `root` must be there: the others may end at any time. */
function lookAtProcesses(root: number, look: Look): void {
  lookAtProcess(root, look);
  for (const pid of descendantsOf(root)) {
    try {
      lookAtProcess(pid, look);
    } catch {
      // It ended meanwhile.
    }
  }
}

function lookAtProcess(pid: number, look: Look): void {
  look(`process ${pid} argv`, readFileSync(`/proc/${pid}/cmdline`));
  look(`process ${pid} environment`, readFileSync(`/proc/${pid}/environ`));
}

function descendantsOf(root: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((name) => {
      const parent = parentOf(name);
      return parent === undefined ? [] : [{ pid: Number(name), parent }];
    });
  const found = [root];
  // Grows while it is walked through: children of children follow.
  for (const pid of found) {
    for (const child of parents) if (child.parent === pid) found.push(child.pid);
  }
  return found.slice(1);
}

function parentOf(pid: string): number | undefined {
  try {
    // The name in parentheses may itself hold parentheses and blanks.
    const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) ?? '';
    return Number(afterName.split(' ')[1]);
  } catch {
    return undefined;
  }
}

function findingsIn(canaries: readonly Canary[], place: string, bytes: Buffer, from: number): Finding[] {
  const plain = canaries.flatMap(({ name, forms }) =>
    forms.flatMap((form) => {
      const offset = bytes.indexOf(form.bytes);
      return offset < 0 ? [] : [{ canary: name, form: form.form, place, offset: from + offset }];
    }),
  );
  return [
    ...plain,
    ...inflatedParts(bytes).flatMap((part) => findingsIn(canaries, `${place} (gunzipped)`, part, 0)),
  ];
}

/** What lies gzipped somewhere in `bytes`, cut short or not: request bodies and spooled batches are. */
function inflatedParts(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = bytes.indexOf(gzipMagic); at >= 0; at = bytes.indexOf(gzipMagic, at + 1)) {
    try {
      // Not gunzip, which refuses whatever follows the stream.
      parts.push(inflateRawSync(bytes.subarray(at + gzipHeaderBytes), inflation));
    } catch {
      // Three bytes that happen to look like the beginning of a gzip stream.
    }
  }
  return parts;
}

/** One finding for each canary in a place: the first form that matched, which is the most telling. */
function distinct(findings: readonly Finding[]): Finding[] {
  return [
    ...new Map(findings.toReversed().map((found) => [`${found.canary} ${found.place}`, found])).values(),
  ].toReversed();
}
