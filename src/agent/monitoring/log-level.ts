import type { LogLevelState } from '../../api/control.ts';
import { type Log, type LogLevel, logLevels } from '../../base/log-events.ts';
import type { Logger } from '../../base/logger.ts';
import { agentEvent } from '../log-events.ts';

/** Which log events the agent writes, changed while it runs. Counters and audit do not depend on it. */
export interface LogLevelSwitch {
  state(): LogLevelState;
  set(level: LogLevel, by: string): void;
  /** Debug, and at the next call what it was before. */
  toggleDebug(by: string): void;
}

export interface LogLevelParts {
  readonly logger: Pick<Logger, 'level' | 'setLevel'>;
  readonly configured: LogLevel;
  readonly log: Log;
}

export function logLevelSwitch({ logger, configured, log }: LogLevelParts): LogLevelSwitch {
  let beforeDebug: LogLevel = configured;

  function set(level: LogLevel, by: string): void {
    const before = logger.level();
    if (before === level) return;
    if (level === 'debug') beforeDebug = before;
    const event = agentEvent('agent.log-level-changed', { logLevel: level, before, by });
    // Said while the more talkative of the two is in force, so that no change goes unsaid.
    const isQuieter = logLevels.indexOf(level) > logLevels.indexOf(before);
    if (isQuieter) log(event);
    logger.setLevel(level);
    if (!isQuieter) log(event);
  }

  return {
    state: () => ({ level: logger.level(), configured }),
    set,
    toggleDebug(by) {
      // Configured as debug, and never anything else: there is info to go back to.
      const normal = beforeDebug === 'debug' ? 'info' : beforeDebug;
      set(logger.level() === 'debug' ? normal : 'debug', by);
    },
  };
}
