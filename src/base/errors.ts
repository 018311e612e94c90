import { type ExitCode, exitCode } from './exit-code.ts';

/** One way of failing: what users read, and how programs should react. */
export interface ErrorRow {
  /** What went wrong, without variables, lower case, no full stop. */
  readonly summary: string;
  /** What the reader does about it: an imperative sentence. */
  readonly remedy: string;
  /** Whether the same operation may succeed later without anybody changing anything. */
  readonly retry: boolean;
  readonly exitCode: ExitCode;
  /** The status of a local HTTP reply that reports this error; 500 where none is given. */
  readonly httpStatus?: number;
}

export type ErrorTable = Readonly<Record<string, ErrorRow>>;

/** One thing wrong in a document: `path` as the reader would write it (`events.sources.app.files[0]`). */
export interface Problem {
  readonly path: string;
  readonly message: string;
  /** Where the value came from: a file, an environment variable, a flag. */
  readonly source?: string;
}

/** The variables of an error. Never a secret: only names, paths, numbers and the like belong here. */
export type ErrorDetails = Readonly<
  Record<string, string | number | boolean | undefined | readonly Problem[] | readonly string[]>
>;

export function isProblems(value: ErrorDetails[string]): value is readonly Problem[] {
  return Array.isArray(value) && typeof value[0] === 'object';
}

/** The one error class. Its message comes from the table; nobody composes one, so none can leak a secret. */
export class GatehouseError extends Error {
  readonly code: string;
  readonly row: ErrorRow;
  readonly details: ErrorDetails;

  constructor(code: string, row: ErrorRow, details: ErrorDetails, cause: unknown) {
    super(row.summary, cause === undefined ? undefined : { cause });
    this.name = 'GatehouseError';
    this.code = code;
    this.row = row;
    this.details = details;
  }
}

/** Makes the errors of one room: `throw secretsError('SECRET_NOT_FOUND', { secretId }, cause)`. */
export function errorsOf<Table extends ErrorTable>(table: Table) {
  return (code: keyof Table & string, details: ErrorDetails = {}, cause?: unknown): GatehouseError => {
    const row = table[code];
    if (row === undefined) throw new TypeError(`no error row ${code}`);
    return new GatehouseError(code, row, details, cause);
  };
}

export const baseErrors = {
  DEFECT: {
    summary: 'the program met a state that it holds to be impossible',
    remedy: 'Report it with the log lines around it; it is a defect of Gatehouse, not of your configuration.',
    retry: false,
    exitCode: exitCode.defect,
  },
  DEADLINE_EXCEEDED: {
    summary: 'an operation took longer than it may',
    remedy: 'Look at what it was waiting for, named in the details, and try again.',
    retry: true,
    exitCode: exitCode.unavailable,
    httpStatus: 504,
  },
} as const satisfies ErrorTable;

export const baseError = errorsOf(baseErrors);

/** Every error as one of ours: an unknown one becomes a DEFECT that keeps it as its cause. */
export function asGatehouseError(error: unknown): GatehouseError {
  return error instanceof GatehouseError ? error : baseError('DEFECT', {}, error);
}

/** What may be said of an error anywhere: codes, names and details, never an upstream message. */
export interface ErrorReport {
  readonly code: string;
  readonly summary: string;
  readonly remedy: string;
  readonly retry: boolean;
  readonly details: ErrorDetails;
  /** Names of the errors behind it, outermost first: an AWS error name, an errno, a class name. */
  readonly causes: readonly string[];
  /** Stack frames without messages; only of defects. */
  readonly frames?: readonly string[];
}

const causesMax = 5;

/** Describes an error without repeating any message that this program did not write. */
export function reportOf(error: unknown): ErrorReport {
  const known = asGatehouseError(error);
  const { code, row, details } = known;
  const causes = causeNames(known.cause);
  const report = { code, summary: row.summary, remedy: row.remedy, retry: row.retry, details, causes };
  return code === 'DEFECT' ? { ...report, frames: framesOf(known.cause ?? known) } : report;
}

function causeNames(cause: unknown): string[] {
  const names: string[] = [];
  let current = cause;
  while (current instanceof Error && names.length < causesMax) {
    names.push(nameOf(current));
    current = current.cause;
  }
  return names;
}

function nameOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error.name;
}

function framesOf(error: unknown): string[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  return error.stack
    .split('\n')
    .filter((line) => /^\s+at /u.test(line))
    .map((line) => line.trim());
}
