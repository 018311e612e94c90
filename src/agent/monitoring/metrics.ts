import { readdirSync } from 'node:fs';
import { Counter, Gauge, Registry } from 'prom-client';
import { metricRows, type ProcessUsage, type Seen } from './metric-rows.ts';
import type { AgentStatus } from './status.ts';

export interface MetricsPage {
  readonly text: string;
  readonly contentType: string;
}

/** The state of the agent in the text format of Prometheus. Loaded at the first scrape: a start does not pay for it. */
export function metricsPage(status: AgentStatus): Promise<MetricsPage> {
  return pageOf({ status, process: usage() });
}

export async function pageOf(seen: Seen): Promise<MetricsPage> {
  const registry = new Registry();
  for (const [name, { type, help, labels = {}, samples }] of Object.entries(metricRows)) {
    const found = samples(seen);
    // Made only where there is something to say: it would show a 0 that nobody measured.
    if (found.length === 0) continue;
    const options = { name, help, labelNames: Object.keys(labels), registers: [registry] };
    if (type === 'counter') {
      const counter = new Counter(options);
      for (const sample of found) counter.inc(sample.labels ?? {}, sample.value);
    } else {
      const gauge = new Gauge(options);
      for (const sample of found) gauge.set(sample.labels ?? {}, sample.value);
    }
  }
  return { text: await registry.metrics(), contentType: registry.contentType };
}

const microsecondsPerSecond = 1e6;

function usage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / microsecondsPerSecond,
    residentBytes: process.memoryUsage.rss(),
    openFiles: readdirSync('/proc/self/fd').length,
  };
}
