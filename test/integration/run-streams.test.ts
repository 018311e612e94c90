import { expect, it } from 'vitest';
import { eventually, setup } from '../support/host.ts';

const services = ['api', 'web', 'jobs'] as const;
const total = 3_000;

/** Two in a row are alike. */
function textOf(index: number): string {
  return JSON.stringify({ service: services[(index >> 1) % services.length], n: index >> 1 });
}

interface Arrived {
  readonly service: string;
  readonly n: number;
  readonly gatehouse: { readonly hostId: string; readonly source: string; readonly offset: number };
}

it('events name their streams, and by their coordinates each line is there once, after kills and lost answers', async () => {
  const host = await setup({
    gateway({ events }) {
      Object.assign(events?.sources['app'] ?? {}, { logStream: 'app/{field.service}', coordinates: true });
    },
  });
  const arrived = (): Arrived[] =>
    services.flatMap((service) =>
      host.messages(`app/${service}`).map((message): Arrived => JSON.parse(message)),
    );
  const places = () => new Set(arrived().map(({ gatehouse }) => JSON.stringify(gatehouse)));
  const lines = Array.from({ length: total }, (_line, index) => textOf(index));

  let logged = 0;
  const log = (to: number) => {
    host.log(lines.slice(logged, to));
    logged = to;
  };

  let agent = await host.started();
  log(2 * services.length);
  await eventually('a line of each service', () => places().size >= logged || undefined);
  // The streams are there, and from here on this agent hears of nothing that it arrived: it repeats, or the next one does.
  host.sandbox.faults.add({ service: 'logs', operation: 'PutLogEvents', effect: { kind: 'lost-answer' } });
  for (const until of [total / 3, (2 * total) / 3, total]) {
    const before = logged;
    log(until);
    await eventually('some of it', () => places().size > before || undefined);
    agent.kill('SIGKILL');
    await agent.finished;
    host.sandbox.faults.clear();
    agent = await host.started();
  }
  await eventually('every line', () => places().size >= total || undefined);
  await agent.stop();

  const { hostId } = arrived()[0]?.gatehouse ?? {};
  const once = [...new Map(arrived().map((each) => [each.gatehouse.offset, each])).values()];
  expect(places().size).toBe(total);
  expect(arrived().length).toBeGreaterThan(total);
  expect(new Set(arrived().map(({ gatehouse }) => gatehouse.hostId))).toEqual(new Set([hostId]));
  expect(
    once
      .toSorted((one, other) => one.gatehouse.offset - other.gatehouse.offset)
      .map(({ service, n }) => JSON.stringify({ service, n })),
  ).toEqual(lines);
  for (const service of services) {
    expect(new Set(host.messages(`app/${service}`).map((text) => JSON.parse(text).service))).toEqual(
      new Set([service]),
    );
  }
});
