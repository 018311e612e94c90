import { type LogLevel, logLevels } from '../base/log-events.ts';
import { type Monitoring, monitoringRoutes } from './monitoring.ts';
import type { Route } from './route.ts';

/** Which log events are written, and which the config asks for. */
export interface LogLevelState {
  readonly level: LogLevel;
  readonly configured: LogLevel;
}

/**
 * What the control socket can ask of the agent. Never a secret, never a credential; events of the dead letter are log
 * lines, with the host's secrets taken out (docs/decisions/0009).
 */
export interface Control extends Monitoring {
  /** The agent's state as JSON-able data. */
  status(): Promise<unknown>;
  /** Reads the gateway config and the secrets again; resolves with what came of it. */
  reload(signal: AbortSignal): Promise<unknown>;
  logLevel(): LogLevelState;
  /** Writes log events of this level and above, until it is changed again or the agent ends. */
  setLogLevel(level: LogLevel): void;
  /** The events that CloudWatch Logs refused, after the one of this number. */
  deadLetters(after: number): Promise<unknown>;
  deadLetter(id: number): Promise<unknown>;
  /** Sends them again, with their own time or that of now. */
  retryDeadLetters(ids: Letters, isNow: boolean): Promise<unknown>;
  dropDeadLetters(ids: Letters): Promise<unknown>;
  /** Sends an event and says when it was taken. */
  testEvents(source: string | undefined): Promise<unknown>;
}

/** Their numbers. */
type Letters = readonly number[] | 'all';

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
    ...eventsRoutes(control),
  ];
}

function eventsRoutes(control: Control): readonly Route[] {
  return [
    route('GET', '/events/dead-letters', (query) => control.deadLetters(numberIn(query, 'after'))),
    route('GET', '/events/dead-letter', (query) => control.deadLetter(numberIn(query, 'id'))),
    route('POST', '/events/dead-letters/retry', (query) =>
      control.retryDeadLetters(lettersIn(query), query.has('now')),
    ),
    route('POST', '/events/dead-letters/drop', (query) => control.dropDeadLetters(lettersIn(query))),
    route('POST', '/events/test', (query) => control.testEvents(query.get('source') ?? undefined)),
  ];
}

/** 0, which no letter has, where there is none. */
function numberIn(query: URLSearchParams, name: string): number {
  return wholeNumber(query.get(name) ?? '');
}

function lettersIn(query: URLSearchParams): Letters {
  return query.has('all') ? 'all' : query.getAll('id').map(wholeNumber);
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/u.test(text) ? Number(text) : 0;
}

function route(
  method: Route['method'],
  path: string,
  answer: (query: URLSearchParams) => Promise<unknown>,
): Route {
  return {
    method,
    path,
    answer: async ({ query }) => ({ status: 200, body: await answer(new URLSearchParams(query)) }),
  };
}
