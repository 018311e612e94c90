import { onTestFinished } from 'vitest';
import type { FaultRule } from '../../sandbox/faults.ts';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { type LogsCalls, logsCalls } from '../../src/agent/aws/logs-calls.ts';
import { Secret } from '../../src/base/secret.ts';
import type { EventSource } from '../../src/events/event-source.ts';
import { type Pipeline, pipeline } from '../../src/events/pipeline.ts';
import { cloudwatchLogsSink } from '../../src/events/sink/cloudwatch-logs.ts';
import type { Sink } from '../../src/events/sink.ts';
import { whenNeeded } from '../../src/events/spool/when-needed.ts';
import type { Spool } from '../../src/events/spool.ts';
import { wake } from '../../src/events/wake.ts';
import { type AnswerFault, answerWire } from './answer-wire.ts';
import { killed, type MemoryFolders, memoryFolders, spoolFixture } from './spool-fixture.ts';
import type { SpoolMode } from './spool-modes.ts';

export type ShippingRig = Awaited<ReturnType<typeof shippingRig>>;

const stream = { logGroup: '/gatehouse/web-1', logStream: 'app' };
const secondMs = 1_000;
const linesAtOnce = 500;

/**
 * Source, pipeline, sealed spool, sink and signed calls as they ship, with a clock that the test moves and a disk in
 * memory, against the sandbox: to see what becomes of numbered lines when things go wrong.
 */
export async function shippingRig(mode: SpoolMode) {
  const fixture = spoolFixture();
  const { clock, log, events } = fixture;
  const cloudStartMs = clock.now().getTime();
  // AWS's clock goes on while the host's jumps.
  const sandbox = createSandbox({ now: () => new Date(cloudStartMs + clock.monotonic()) });
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const wire = await answerWire(listener.url);
  const session = () =>
    sandbox.identities.issueSession({ role: 'GatehouseHost', sessionName: 'test', durationSeconds: 43_200 });
  let credentials = session();
  let renewals = 0;

  const written: { readonly text: string; readonly agoMs: number }[] = [];
  const bell = wake();
  const source: EventSource = {
    async *chunks(from, signal) {
      for (let next = Number(from.get('log') ?? 0); !signal.aborted; ) {
        const [first] = written.slice(next, next + 1);
        if (first === undefined) {
          await bell.rung(signal);
          continue;
        }
        let end = next;
        while (end < next + linesAtOnce && written[end]?.agoMs === first.agoMs) end += 1;
        const text = written.slice(next, end).map((line) => `${line.text}\n`);
        next = end;
        yield {
          bytes: Buffer.from(text.join('')),
          timeMs: clock.now().getTime() - first.agoMs,
          positions: [{ item: 'log', value: String(next) }],
          file: undefined,
        };
      }
    },
    counts: () => ({ lagBytes: 0, items: 1 }),
  };

  let asked = 0;
  let struck = 0;
  let calling = 0;
  let isStalled = false;
  const calls: LogsCalls = logsCalls(
    {
      env: { AWS_ENDPOINT_URL: wire.url },
      region: sandbox.region,
      credentials: async () => ({
        accessKeyId: credentials.accessKeyId,
        secretAccessKey: Secret.ofText(credentials.secretAccessKey),
        sessionToken: Secret.ofText(credentials.sessionToken),
        source: 'test',
      }),
      denials: {
        async renew({ mayBePermission }) {
          if (mayBePermission) return false;
          renewals += 1;
          credentials = session();
          return true;
        },
        again: () => undefined,
        accepted: () => undefined,
      },
    },
    clock,
  );
  onTestFinished(() => calls.close());
  const wishes = new Set<string>();
  const inner = cloudwatchLogsSink({
    client: calls.client,
    async putLogEvents(body, headers, signal) {
      if (!body.includes('poison')) return calls.putLogEvents(body, headers, signal);
      throw Object.assign(new Error('invalid'), { name: 'InvalidParameterException' });
    },
    createLogGroup: true,
    retentionWishes: {
      list: () => [...wishes],
      add: async (group) => void wishes.add(group),
      remove: async (group) => void wishes.delete(group),
    },
    clock,
    log,
  });
  const sink: Sink = {
    async send(...sending) {
      calling += 1;
      try {
        return await inner.send(...sending);
      } finally {
        calling -= 1;
      }
    },
  };

  let folders: MemoryFolders = memoryFolders();
  let spool: Spool;
  let line: Pipeline;
  let ending = new AbortController();
  onTestFinished(() => ending.abort());
  let done = Promise.resolve();
  /** What came before the group was deleted. */
  const gone: string[][] = [];

  const batches = (): string[][] => {
    const group = sandbox.state.logs.groups[stream.logGroup];
    const { batches: there = [] } = group?.streams[stream.logStream] ?? {};
    const texts = there.map(({ text, ends }) =>
      ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end)),
    );
    return [...gone, ...texts];
  };

  /** One whose answer is held for ever is over with the time that it is given; until it is held it is like any other. */
  const isCalling = (): boolean => calling > 0 && (!isStalled || wire.fault !== undefined);

  /** Time passes, but not while a call is under way: it would run out of it. */
  async function pass(ms: number): Promise<void> {
    const stepMs = Math.min(ms, 100);
    for (let passed = 0; passed < ms; passed += stepMs) {
      await clock.advance(stepMs);
      while (isCalling()) {
        await new Promise<void>((resolve) => {
          setImmediate(resolve);
        });
      }
    }
  }

  const isShipped = (): boolean =>
    spool.position('s').get('log') === String(written.length) && spool.counts().batches === 0;

  const rig = {
    clock,
    wire,
    pass,
    disk: () => folders,
    renewals: () => renewals,
    /** Calls that AWS refused, as for the time that they were signed at. */
    refusals: () => sandbox.calls.count({ operation: 'PutLogEvents', status: 400 }),
    /** Whether all that was written is taken, and the position says so. */
    isShipped,

    async start(): Promise<void> {
      const disk = await fixture.open(folders);
      spool = mode === 'always' ? disk : whenNeeded(disk, { clock, log });
      line = pipeline({
        sources: [{ name: 's', source, canBeReadAgain: true, streamOf: () => stream }],
        spool,
        sink,
        clock,
        log,
      });
      ending = new AbortController();
      done = line.run(ending.signal);
      done.catch(() => undefined);
    },

    async stop(): Promise<void> {
      void line.drain(2 * secondMs);
      await pass(3 * secondMs);
      await done;
      const closed = spool.close();
      await pass(6 * secondMs);
      await closed;
    },

    /** The process ends at this call to the disk from now on, or where `kill` finds it. */
    killAfterCalls(count: number): void {
      let left = count;
      const { spool: storage } = folders;
      storage.onCall = async () => {
        left -= 1;
        if (left < 0) await new Promise(() => undefined);
      };
    },

    async kill(): Promise<void> {
      folders = killed(folders);
      ending.abort();
      await rig.start();
    },

    /** Lines that tell their number; `agoMs` before now. */
    async write(count: number, more: { agoMs?: number; poisoned?: number } = {}): Promise<void> {
      const first = written.length;
      for (let number = first; number < first + count; number += 1) {
        const text = number === first + (more.poisoned ?? -1) ? `${number} poison` : `${number} line`;
        written.push({ text, agoMs: more.agoMs ?? 0 });
      }
      bell.ring();
    },

    async shipped(): Promise<void> {
      for (let step = 0; !isShipped(); step += 1) {
        if (step > 20_000) throw new Error(`not shipped: ${JSON.stringify(line.status())}`);
        await pass(100);
      }
    },

    fault(rule: Omit<FaultRule, 'service'>): string {
      asked += 1;
      return sandbox.faults.add({ service: 'logs', operation: 'PutLogEvents', ...rule });
    },

    mend(id: string): void {
      struck += sandbox.faults.list().filter((fault) => fault.id === id && fault.hits > 0).length;
      sandbox.faults.remove(id);
    },

    /** Faults that were asked for and befell nobody. */
    unstruck(): number {
      return asked - struck - sandbox.faults.list().filter(({ hits }) => hits > 0).length;
    },

    /** Lines come before, in and after it. */
    async outage(effect: FaultRule['effect'], lastsMs: number): Promise<void> {
      const fault = rig.fault({ effect });
      for (let part = 0; part < 4; part += 1) {
        await rig.write(linesAtOnce);
        await pass(lastsMs / 4);
      }
      rig.mend(fault);
      await rig.write(linesAtOnce);
      await rig.shipped();
    },

    async oneAnswer(fault: AnswerFault): Promise<void> {
      wire.fault = fault;
      isStalled = fault.kind === 'stall';
      await rig.write(linesAtOnce);
      await pass(59 * secondMs);
      await pass(3 * secondMs);
      isStalled = false;
      await rig.shipped();
    },

    deleteGroup(): void {
      gone.push(...batches());
      delete sandbox.state.logs.groups[stream.logGroup];
    },

    keepDays(days: number): void {
      const group = sandbox.state.logs.groups[stream.logGroup];
      if (group !== undefined) group.retentionInDays = days;
    },

    reasons: () => [...new Set(spool.deadLetters(99).map(({ reason }) => reason))].toSorted(),

    /** Batches that brought a line again. */
    repeats(): number {
      return repeatsIn(batches()).length;
    },

    async account() {
      const letters = await Promise.all(spool.deadLetters(99).map(({ id }) => spool.deadLetter(id)));
      const refused = letters.map((letter) => letter?.message ?? '');
      const there = new Set([...batches().flat(), ...refused]);
      const repeated = repeatsIn(batches());
      const texts = batches().map((batch) => batch.join('\n'));
      return {
        lost: written.filter(({ text }) => !there.has(text)).length,
        refused: refused.length,
        repeats: repeated.length,
        changed: repeated.filter((text) => texts.indexOf(text) === texts.lastIndexOf(text)).length,
      };
    },

    said: () => new Set(events.map(({ name }) => name)),
    forgetSaid: () => void events.splice(0),
  };
  return rig;
}

function repeatsIn(batches: readonly (readonly string[])[]): string[] {
  const seen = new Set<string>();
  return batches.flatMap((batch) => {
    const isRepeat = batch.some((message) => seen.has(message));
    for (const message of batch) seen.add(message);
    return isRepeat ? [batch.join('\n')] : [];
  });
}
