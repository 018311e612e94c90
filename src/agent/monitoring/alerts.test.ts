import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { logEventTable } from '../log-events.ts';
import { metricRows } from './metric-rows.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/monitoring.md'), 'utf8');
const alerts = [...page.matchAll(/^- alert: (\w+).*\n {2}expr: (.*)$/gmu)].map(
  ([, name = '', expr = '']) => [name, expr] as const,
);

const functions = new Set(['sum', 'by', 'or', 'and', 'increase', 'time']);
/** Of Prometheus itself, and what it adds to every metric. */
const own = { metrics: new Set(['up']), labels: new Set(['job', 'instance']) };

/** Metrics, and what their labels are to be. */
function selectorsIn(expr: string) {
  const bare = expr.replaceAll(/by \([^)]*\)/gu, '').replaceAll(/\[\d+[smhd]\]/gu, '');
  return [...bare.matchAll(/([a-z_]+)(?:\{([^}]*)\})?/gu)]
    .filter(([, name = '']) => !functions.has(name))
    .map(([, name = '', matchers = '']) => ({
      metric: name,
      labels: [...matchers.matchAll(/(\w+)=~?"([^"]*)"/gu)].map(
        ([, label = '', value = '']) => [label, value.split('|')] as const,
      ),
    }));
}

describe('the alerts of docs/monitoring.md', () => {
  test('are all that stand there, each with a name of its own', () => {
    expect(alerts.length).toBe(page.match(/- alert:/gu)?.length);
    expect(new Set(alerts.map(([name]) => name)).size).toBe(alerts.length);
  });

  test.each(alerts)('%s asks for what there is', (_name, expr) => {
    const selectors = selectorsIn(expr);

    expect(selectors).not.toEqual([]);
    for (const { metric, labels } of selectors) {
      if (own.metrics.has(metric)) continue;
      const row = metricRows[metric];
      expect(row, metric).toBeDefined();
      for (const [label, values] of labels) {
        if (own.labels.has(label)) continue;
        expect(row?.labels, metric).toHaveProperty(label);
        if (label === 'event')
          for (const value of values) expect(Object.keys(logEventTable)).toContain(value);
        if (label === 'state') for (const value of values) expect(row?.labels?.['state']).toContain(value);
      }
      expect(/\b(?:increase)\(/u.test(expr), expr).toBe(row?.type === 'counter');
    }
  });

  test.each(['gatehouse_spool_full', 'gatehouse_dropped_events_total', 'events.connections-refused'])(
    'tell of %s',
    (what) => {
      expect(alerts.map(([, expr]) => expr).filter((expr) => expr.includes(what))).toHaveLength(1);
    },
  );
});
