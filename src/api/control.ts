import type { Route } from './route.ts';

/** What the control socket can ask of the agent. Never a secret, never a credential. */
export interface Control {
  /** The agent's state as JSON-able data. */
  status(): Promise<unknown>;
  /** Reads the gateway config and the secrets again; resolves with what came of it. */
  reload(signal: AbortSignal): Promise<unknown>;
}

/** The routes of `control.sock`. */
export function controlRoutes(control: Control): readonly Route[] {
  return [
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
  ];
}
