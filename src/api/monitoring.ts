import type { Route } from './route.ts';

/** What a supervisor may ask: is the start over, would a restart help, should it get work. */
export const probes = ['startup', 'live', 'ready'] as const;
export type Probe = (typeof probes)[number];

/** The answer to a probe. Every local user may read it where it goes over HTTP: how many, not which. */
export interface Health {
  readonly isOk: boolean;
  /** `starting`, `ready`, `degraded` or `stopping`; absent when the agent could not say. */
  readonly state?: string;
  /** How many parts fail. */
  readonly failing?: number;
  /** Why it is not ok. */
  readonly reason?: 'starting' | 'stopping' | 'no answer' | 'wedged';
}

/** What monitoring reads. Nothing in it is a secret, or the name of one. */
export interface Monitoring {
  health(probe: Probe, signal: AbortSignal): Promise<Health>;
  /** In the text format of Prometheus. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

/** `/health/…`: 200 when it is ok and 503 when not; `/metrics`. */
export function monitoringRoutes(monitoring: Monitoring): readonly Route[] {
  return [
    ...probes.map(
      (probe): Route => ({
        method: 'GET',
        path: `/health/${probe}`,
        async answer(_request, signal) {
          const health = await monitoring.health(probe, signal);
          return { status: health.isOk ? 200 : 503, body: health };
        },
      }),
    ),
    {
      method: 'GET',
      path: '/metrics',
      answer: async () => ({ status: 200, ...(await monitoring.metrics()) }),
    },
  ];
}
