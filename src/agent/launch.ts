import type { Clock } from '../base/clock.ts';
import type { LogLevel } from '../base/log-events.ts';
import type { LogForm } from '../base/logger.ts';
import type { Environment } from './aws/aws-reach.ts';
import type { CallName } from './aws/slow-calls.ts';

/** What the command line says of the bootstrap config; each wins over environment and file. */
export interface LaunchFlags {
  /** Path of the bootstrap config file. */
  readonly config?: string | undefined;
  readonly secretName?: string | undefined;
  readonly logLevel?: LogLevel | undefined;
}

/** What a process starts with: everything that agent/ needs to know of the world around it. */
export interface Launch {
  readonly flags: LaunchFlags;
  readonly env: Environment;
  readonly clock: Clock;
  readonly version: string;
  /** What log lines look like. */
  readonly logForm: LogForm;
  /** Writes a whole log line, at once. */
  writeLog(line: string): void;
  /** Told of a call to AWS that is late, while it is waited for; it is logged when absent. */
  readonly onLateCall?: (call: CallName) => void;
}
