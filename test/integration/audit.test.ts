import { setTimeout as timeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { LogStream } from '../../sandbox/logs/state.ts';
import { eventually, type Host, logGroup, setup } from '../support/host.ts';

interface Verdict {
  readonly isUnbroken: boolean;
  readonly streams: readonly {
    readonly records: number;
    readonly chains: readonly {
      readonly chain: string;
      readonly hostId: string;
      readonly last: number;
      readonly repeated: number;
      readonly beyondHead: number;
    }[];
    readonly findings: readonly { readonly kind: string; readonly sequence?: number; readonly to?: number }[];
  }[];
}

/** What `gatehouse audit verify --json` says, and its exit code. */
async function verify(host: Host, args: readonly string[] = []) {
  const { code, stdout, stderr } = await host.run(['audit', 'verify', '--json', ...args]);
  if (stdout === '') throw new Error(`no verdict: ${stderr}`);
  const verdict = JSON.parse(stdout) as Verdict;
  const kinds = verdict.streams.flatMap(({ findings }) => findings.map(({ kind }) => kind));
  return { code, verdict, kinds, chains: verdict.streams.flatMap(({ chains }) => chains) };
}

/** Random moments that can be had again. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function auditStream(host: Host): LogStream {
  const stream = host.sandbox.state.logs.groups[logGroup]?.streams['agent'];
  if (stream === undefined) throw new Error('there is no audit stream');
  return stream;
}

describe('gatehouse audit verify', () => {
  it('finds the audit of a whole life unbroken, its last record included', async () => {
    const host = await setup();
    const agent = await host.started();
    await agent.stop();

    const { code, verdict, chains, kinds } = await verify(host);

    expect({ code, isUnbroken: verdict.isUnbroken, kinds }).toEqual({ code: 0, isUnbroken: true, kinds: [] });
    expect(chains).toMatchObject([{ last: host.audit().length - 1, repeated: 0, beyondHead: 0 }]);
    expect(host.audit().at(-1)?.event).toBe('agent.stopping');
  });

  it('joins with CloudTrail: records have the access key, and request ids where AWS was asked', async () => {
    const host = await setup();
    const agent = await host.started();
    const { accessKeyId } = (await host.status()).credentials;
    await agent.stop();

    const read = host.audit().find(({ event }) => event === 'secret.read');
    const applied = host.audit().find(({ event }) => event === 'config.applied');

    expect(read).toMatchObject({
      accessKeyId,
      fields: { awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/u) },
    });
    expect(applied).toMatchObject({ fields: { awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/u) } });
  });

  it('finds it unbroken after kills at random moments', async () => {
    const seed = Number(process.env['AUDIT_SEED'] ?? 20_261_122);
    const random = dice(seed);
    const host = await setup();
    const lives = 8;

    for (let life = 0; life < lives; life += 1) {
      // Before, while and after the spool opens and records come; every other life long enough for some.
      const before = host.count('agent');
      const agent = life % 2 === 0 ? host.start() : await host.started();
      if (life % 2 === 1) await eventually('its first records', () => host.count('agent') > before);
      await timeout(300 + random() * 2_000);
      for (let change = 0; change < 3; change += 1) {
        await host.operator.putSecret('prod/database', JSON.stringify({ password: `${life}.${change}` }));
        agent.kill('SIGHUP');
        await timeout(random() * 300);
      }
      agent.kill('SIGKILL');
      await agent.finished;
    }
    const last = await host.started();
    await last.stop();

    const { code, chains, kinds } = await verify(host);
    const numbers = new Set(host.audit().map((record) => (record as { sequence?: number }).sequence));

    expect({ seed, code, chains: chains.length }).toEqual({ seed, code: 0, chains: 1 });
    expect(kinds.filter((kind) => kind !== 'repeated')).toEqual([]);
    expect(numbers.size).toBe((chains[0]?.last ?? 0) + 1);
    expect(numbers.size).toBeGreaterThan(lives / 2);
  });

  it('is unbroken through lost answers, throttling and cut connections', async () => {
    const host = await setup();
    const { faults } = host.sandbox;
    // Not those that came twice, which is what a lost answer makes of them.
    const records = (): number => new Set(host.messages('agent')).size;
    const agent = await host.started();
    await host.arrived(1, 'agent');
    for (const kind of ['lost-answer', 'throttle', 'cut', 'lost-answer', 'half-body'] as const) {
      const before = records();
      faults.add({ service: 'logs', operation: 'PutLogEvents', count: 2, effect: { kind } });
      await host.operator.putSecret('prod/database', JSON.stringify({ password: `${before}` }));
      agent.kill('SIGHUP');
      await eventually('the new password', () => host.delivered() === `${before}`);
      await eventually('its records', () => records() >= before + 2);
    }
    faults.clear();
    await agent.stop();

    const { code, chains, kinds } = await verify(host);

    expect({ code, kinds: new Set(kinds) }).toEqual({ code: 0, kinds: new Set(['repeated']) });
    expect(chains).toMatchObject([{ beyondHead: 0 }]);
    expect(chains[0]?.last).toBeGreaterThanOrEqual(10);
  });

  it('takes a batch that came twice for what it is, and no more', async () => {
    const host = await setup();
    const agent = await host.started();
    await agent.stop();
    const stream = auditStream(host);
    const batch = stream.batches[0];
    if (batch === undefined) throw new Error('there is no batch');
    stream.batches.splice(1, 0, batch);
    renumber(stream);

    const { code, kinds } = await verify(host);

    expect({ code, kinds }).toEqual({ code: 0, kinds: ['repeated'] });
  });

  it('says what is broken, and where, with exit code 65', async () => {
    const host = await setup();
    const agent = await host.started();
    await agent.stop();
    const stream = auditStream(host);
    rewrite(stream, (sequence) => sequence !== 2);

    const { code, verdict } = await verify(host);
    const text = await host.run(['audit', 'verify']);

    expect({ code, isUnbroken: verdict.isUnbroken }).toEqual({ code: 65, isUnbroken: false });
    expect(verdict.streams[0]?.findings).toMatchObject([{ kind: 'missing', sequence: 2 }]);
    expect(text.stdout).toMatch(/^BROKEN +missing 2: records are not there/mu);
  });

  it('finds records cut off at the end, and a head that is asked for', async () => {
    const host = await setup();
    const agent = await host.started();
    const kept = 3;
    const status = await eventually('a durable head beyond what will be kept', async () => {
      const [head] = (await host.status()).events?.audit ?? [];
      return (head?.sequence ?? 0) > kept ? head : undefined;
    });
    await agent.stop();
    const head = ['--head', `${status?.sequence}:${status?.hash}`];
    const whole = await verify(host, head);
    rewrite(auditStream(host), (sequence) => sequence < kept);

    const cut = await verify(host, head);

    expect(whole.code).toBe(0);
    expect({ code: cut.code, kinds: cut.kinds }).toEqual({ code: 65, kinds: ['missing', 'head-unknown'] });
  });

  it('ends with 66 where there is no audit', async () => {
    const host = await setup();

    const { code, stderr } = await host.run([
      'audit',
      'verify',
      '--log-group',
      '/none',
      '--log-stream',
      'agent',
    ]);

    expect({ code, stderr }).toEqual({ code: 66, stderr: expect.stringContaining('EVENTS_AUDIT_MISSING') });
  });
});

describe('audit.whenFull: deny', () => {
  it('has the record of each delivery durable before it is made', async () => {
    const host = await setup({
      gateway: (document) => {
        document['audit'] = { whenFull: 'deny' };
      },
    });

    const agent = await host.started();
    const delivered = host.delivered();
    await agent.stop();

    expect(delivered).toBe(host.password.value);
    const events = host.audit().map(({ event }) => event);
    expect(events.filter((event) => event.startsWith('delivery.'))).toEqual([
      'delivery.begun',
      'delivery.written',
    ]);
    expect((await verify(host)).code).toBe(0);
  });
});

/** Takes records away that CloudWatch Logs has, as nobody can in the real one. */
function rewrite(stream: LogStream, isKept: (sequence: number) => boolean): void {
  const [first] = stream.batches;
  if (first === undefined) throw new Error('there is no batch');
  const messages = stream.batches
    .flatMap(({ text, ends }) => ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end)))
    .filter((message) => isKept((JSON.parse(message) as { sequence: number }).sequence));
  let length = 0;
  const ends = messages.map((message) => {
    length += message.length;
    return length;
  });
  const timestamps = messages.map((_message, index) => (first.timestamps[0] ?? 0) + index);
  stream.batches.splice(0, stream.batches.length, { ...first, text: messages.join(''), ends, timestamps });
  renumber(stream);
}

/** Positions follow from one another, as after an arrival. */
function renumber(stream: LogStream): void {
  let position = 0;
  const batches = stream.batches.map((batch) => {
    const numbered = { ...batch, firstPosition: position, firstOrdinal: position };
    position += batch.ends.length;
    return numbered;
  });
  stream.batches.splice(0, stream.batches.length, ...batches);
  stream.eventCount = position;
}
