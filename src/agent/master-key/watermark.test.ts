import { describe, expect, it } from 'vitest';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { memoryRegistry } from '../../../test/support/memory-registry.ts';
import type { LogEvent } from '../../base/log-events.ts';
import { keysError } from '../../keys/errors.ts';
import { watermark } from './watermark.ts';

const never = new AbortController().signal;
const none = new Map<string, number>();

async function setup() {
  const registry = memoryRegistry();
  await registry.raise('web-1', new Map([['tls-key', 4]]), never);
  registry.calls.length = 0;
  const events: LogEvent[] = [];
  const clock = fakeClock();
  const mark = watermark({ registry, agentName: 'web-1', clock, log: (event) => events.push(event) });
  return { registry, mark, clock, names: () => events.map(({ name }) => name) };
}

const away = () => keysError('REGISTRY_UNREACHABLE');

describe('the watermark in the registry', () => {
  it('is asked for once, however many files there are, and written only where a version rises', async () => {
    const { registry, mark } = await setup();

    const all = await Promise.all(Array.from({ length: 1_000 }, () => mark.seen(never)));
    expect(all.at(-1)?.get('tls-key')).toEqual({ version: 4 });
    await mark.raise(new Map([['tls-key', 4]]), never);
    expect(registry.calls).toEqual(['seen']);

    await mark.raise(new Map(Array.from({ length: 1_000 }, (_each, n) => [`s-${n}`, 1])), never);
    await mark.raise(new Map([['s-7', 1]]), never);

    expect(registry.calls).toEqual(['seen', 'raise']);
    expect((await registry.seen('web-1', never)).size).toBe(1_001);
  });

  it('holds nothing up while the registry is away, says so once, and is made good later', async () => {
    const { registry, mark, names } = await setup();
    registry.failWith(away());

    expect(await mark.seen(never)).toBeUndefined();
    expect(await mark.seen(never)).toBeUndefined();
    await mark.raise(new Map([['tls-key', 6]]), never);
    expect(registry.calls).toEqual(['seen']);
    await mark.raise(none, never);
    expect(names()).toEqual(['master-key.watermark-away']);

    registry.failWith(undefined);
    await mark.seen(never);
    await mark.raise(none, never);

    expect(names()).toEqual(['master-key.watermark-away', 'master-key.watermark-back']);
    expect((await registry.seen('web-1', never)).get('tls-key')).toEqual({ version: 6 });
  });

  it('waits three seconds for an answer, and no longer', async () => {
    const { registry, mark, clock, names } = await setup();
    registry.seen = () => new Promise(() => undefined);

    const seen = mark.seen(never);
    await clock.advance(3_000);

    expect(await seen).toBeUndefined();
    expect(names()).toEqual(['master-key.watermark-away']);
  });

  it('is asked again before a file is refused, once for many', async () => {
    const { registry, mark } = await setup();
    await mark.seen(never);
    await registry.allowOlder('web-1', 'tls-key', never);

    const [one] = await Promise.all([
      mark.seen(never, { isAfresh: true }),
      mark.seen(never, { isAfresh: true }),
    ]);

    expect(one?.get('tls-key')).toEqual({ version: 0, loweredFrom: 4 });
    expect(registry.calls).toEqual(['seen', 'allowOlder', 'seen']);
  });

  it('gives up with the reason of an aborted signal, and is asked for anew', async () => {
    const { mark, names } = await setup();
    const reason = new Error('stopping');

    await expect(mark.seen(AbortSignal.abort(reason))).rejects.toBe(reason);

    expect((await mark.seen(never))?.size).toBe(1);
    expect(names()).toEqual([]);
  });
});
