import { type LogLevel, logLevels } from '../base/log-events.ts';
import { type Monitoring, monitoringRoutes } from './monitoring.ts';
import type { Route } from './route.ts';

/** Which log events are written, and which the config asks for. */
export interface LogLevelState {
  readonly level: LogLevel;
  readonly configured: LogLevel;
}

/** What the control socket can ask of the agent. Never a secret, never a credential. */
export interface Control extends Monitoring {
  /** The agent's state as JSON-able data. */
  status(): Promise<unknown>;
  /** Reads the gateway config and the secrets again; resolves with what came of it. */
  reload(signal: AbortSignal): Promise<unknown>;
  logLevel(): LogLevelState;
  /** Writes log events of this level and above, until it is changed again or the agent ends. */
  setLogLevel(level: LogLevel): void;
}

/** The routes of `control.sock`. */
export function controlRoutes(control: Control): readonly Route[] {
  return [
    ...monitoringRoutes(control),
    {
      method: 'GET',
      path: '/status',
      answer: async () => ({ status: 200, body: await control.status() }),
    },
    {
      method: 'POST',
      path: '/reload',
      answer: async (_request, signal) => ({ status: 200, body: await control.reload(signal) }),
    },
    { method: 'GET', path: '/log-level', answer: () => ({ status: 200, body: control.logLevel() }) },
    ...logLevels.map(
      (level): Route => ({
        method: 'POST',
        path: `/log-level/${level}`,
        answer() {
          control.setLogLevel(level);
          return { status: 200, body: control.logLevel() };
        },
      }),
    ),
  ];
}
