export interface SandboxProblem {
  /** Where in the document, as its reader would write it: `faults[0].effect.ms`. */
  readonly path: string;
  readonly message: string;
}

export type SandboxErrorCode =
  | 'SANDBOX_FAULTS_INVALID'
  | 'SANDBOX_FILE_UNREADABLE'
  | 'SANDBOX_STATE_DAMAGED'
  | 'SANDBOX_ADDRESS_IN_USE';

/** What keeps the sandbox from starting. This folder imports nothing from src/, so it has an error of its own. */
export class SandboxError extends Error {
  readonly code: SandboxErrorCode;
  readonly problems: readonly SandboxProblem[];

  constructor(code: SandboxErrorCode, message: string, problems: readonly SandboxProblem[], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SandboxError';
    this.code = code;
    this.problems = problems;
  }
}
