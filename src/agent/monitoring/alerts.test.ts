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

/** What an expression asks for and is not there. */
function missingIn(expr: string): readonly string[] {
  return selectorsIn(expr)
    .filter(({ metric }) => !own.metrics.has(metric))
    .flatMap(({ metric, labels }) => {
      const row = metricRows[metric];
      if (row === undefined) return [metric];
      return labels
        .filter(([label]) => !own.labels.has(label))
        .flatMap(([label, values]) =>
          values
            .filter((value) => !isValue(row.labels?.[label], label, value))
            .map((value) => `${label} ${value}`),
        );
    });
}

function isValue(meaning: string | undefined, label: string, value: string): boolean {
  if (meaning === undefined) return false;
  return label === 'event' ? value in logEventTable : meaning.includes(`\`${value}\``);
}

describe('the alerts of docs/monitoring.md', () => {
  test('are all that stand there, each with a name of its own', () => {
    expect(alerts.length).toBe(page.match(/- alert:/gu)?.length);
    expect(new Set(alerts.map(([name]) => name)).size).toBe(alerts.length);
  });

  test.each(alerts)('%s asks for what there is', (_name, expr) => {
    expect(selectorsIn(expr)).not.toEqual([]);
    expect(missingIn(expr)).toEqual([]);
  });

  test.each(alerts)('%s asks of counters how much they grew, and of nothing else', (_name, expr) => {
    const types = selectorsIn(expr).map(({ metric }) => metricRows[metric]?.type === 'counter');

    expect(types).toEqual(types.map(() => expr.includes('increase(')));
  });

  test.each(['gatehouse_spool_full', 'gatehouse_dropped_events_total', 'events.connections-refused'])(
    'tell of %s',
    (what) => {
      expect(alerts.map(([, expr]) => expr).filter((expr) => expr.includes(what))).toHaveLength(1);
    },
  );
});
