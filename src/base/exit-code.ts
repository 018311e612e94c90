/** Process exit codes, those of sysexits(3) that this program uses. Source: docs/reference/errors.md lists who exits how. */
export const exitCode = {
  done: 0,
  failed: 1,
  usage: 64,
  damagedInput: 65,
  missingInput: 66,
  unavailable: 69,
  defect: 70,
  cannotCreate: 73,
  tryAgain: 75,
  refused: 77,
  configuration: 78,
  /** As a shell has them. */
  commandNotStarted: 126,
  commandNotFound: 127,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];
