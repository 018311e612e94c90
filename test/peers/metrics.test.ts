import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metricRows } from '../../src/agent/monitoring/metric-rows.ts';
import { eventually, numbered, setup } from '../support/host.ts';
import { arePeersMissing } from './support/peer.ts';
import { runPeer } from './support/run-peer.ts';

type Families = Record<
  string,
  { type: string; help: string; samples: [name: string, labels: Record<string, string>, value: number][] }
>;

/** Of hosts with consumers, a certificate or imported key material; this one has none, so they are absent. */
const ofOtherHosts = /^gatehouse_(?:consumer_(?!refused)|certificate_|key_material_)/u;

const script = join(import.meta.dirname, 'parse_metrics.py');

describe.skipIf(arePeersMissing('python'))('the Python client of Prometheus', () => {
  it('reads every metric of a running agent, with its type and its value', async () => {
    const host = await setup({
      gateway({ events }) {
        if (events !== undefined) events['redaction'] = { patterns: { card: '\\d{16}' } };
      },
    });
    await host.started();
    host.log([...numbered(9), 'card 4111111111111111']);
    await host.arrived(10);
    const page = await eventually('what was sent', async () => {
      const { body } = await host.asked('/metrics');
      return body.includes('gatehouse_source_events_total{source="app"} 10\n') ? body : undefined;
    });
    const file = join(host.disk, 'metrics.txt');
    writeFileSync(file, page);
    const nobody = { accessKeyId: 'none', secretAccessKey: 'none' };
    const target = { endpoint: host.url, region: 'eu-west-1', credentials: nobody, roleArn: '' };

    const { stdout, stderr, exitCode } = await runPeer('python', [script, file], target);

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const families = JSON.parse(stdout) as Families;
    const samples = Object.values(families).flatMap((family) => family.samples);
    const valueOf = (wanted: string, labels: Record<string, string> = {}) =>
      samples.find(
        ([name, own]) =>
          name === wanted && Object.entries(labels).every(([key, value]) => own[key] === value),
      )?.[2];
    // The parser names a family of counters without its `_total`.
    const read = Object.entries(families).map(([name, { type }]) => [
      type === 'counter' ? `${name}_total` : name,
      type,
    ]);
    const rows = Object.entries(metricRows).filter(([name]) => !ofOtherHosts.test(name));
    expect(read).toEqual(rows.map(([name, { type }]) => [name, type]));
    expect(valueOf('gatehouse_state', { state: 'ready' })).toBe(1);
    expect(valueOf('gatehouse_source_events_total', { source: 'app' })).toBe(10);
    expect(valueOf('gatehouse_log_events_total', { event: 'agent.ready' })).toBe(1);
    expect(valueOf('gatehouse_spool_max_bytes')).toBeGreaterThan(0);
    expect(valueOf('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    for (const [name, , value] of samples) expect([name, Number.isFinite(value)]).toEqual([name, true]);
  });
});
