import type { MetricRow } from '../../src/agent/monitoring/metric-rows.ts';
import { code, page, table } from './markdown.ts';

/** docs/reference/metrics.md: every metric with its type, its labels and what it says. */
export function metricsPage(rows: Readonly<Record<string, MetricRow>>): string {
  return page(
    'Metrics',
    'What `GET /metrics` answers in the text format of Prometheus: on `control.sock`, and over HTTP on the loopback ' +
      'address of `monitoring.listen`, to every local user. No label names a secret, and none has more values than the ' +
      'config has sources or this program has log events. Times are seconds since 1970: an age is ' +
      '`time() - METRIC`. A metric without a value is absent. From `src/agent/monitoring/metric-rows.ts`.',
    [
      table(
        ['Metric', 'Type', 'Labels', 'What it says'],
        Object.entries(rows).map(([name, { type, labels = {}, help }]) => [
          code(name),
          type,
          Object.entries(labels)
            .map(([label, meaning]) => `${code(label)}: ${meaning}`)
            .join('; '),
          help,
        ]),
      ),
    ],
  );
}
