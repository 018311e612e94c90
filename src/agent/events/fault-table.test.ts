import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { diceOf } from '../../../test/support/dice.ts';
import { type ShippingRig, shippingRig } from '../../../test/support/shipping-rig.ts';
import { spoolModes } from '../../../test/support/spool-modes.ts';

/** What is done to a rig. In each row no line is lost, and none goes without being told of; docs/events.md has the rows. */
interface Row {
  readonly fault: string;
  /** Log events that tell of it, in any order. */
  readonly said: readonly string[];
  /** Batches that may come again, each the same bytes. */
  readonly repeatsMax: number;
  /** The same spooling when-needed, where that is not as many: what was held comes again in other batches then. */
  readonly heldRepeatsMax?: number;
  /** Lines that lie in the dead letter afterwards. */
  readonly refused?: number;
  readonly run: (rig: ShippingRig) => Promise<void>;
}

const secondMs = 1_000;
const hourMs = 60 * 60 * secondMs;
const dayMs = 24 * hourMs;
const linesAtOnce = 500;
const resetsMax = 2_000;
const kills = 100;
/** Batches of one life: lines come at once, and then for less than the time after which they are flushed twice more. */
const heldMax = 3;

const rows: readonly Row[] = [
  {
    fault: '503 for 40 seconds',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 0,
    run: (rig) =>
      rig.outage({ kind: 'error', name: 'ServiceUnavailableException', status: 503 }, 40 * secondMs),
  },
  {
    fault: '503 for an hour',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 0,
    run: (rig) => rig.outage({ kind: 'error', name: 'ServiceUnavailableException', status: 503 }, hourMs),
  },
  {
    fault: 'throttled for 10 minutes',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 0,
    run: (rig) => rig.outage({ kind: 'throttle' }, 600 * secondMs),
  },
  {
    fault: 'access denied for 10 minutes, then granted',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 0,
    run: (rig) => rig.outage({ kind: 'error', name: 'AccessDeniedException' }, 600 * secondMs),
  },
  {
    fault: 'connections that close before anything is done',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 0,
    run: (rig) => rig.outage({ kind: 'cut' }, 40 * secondMs),
  },
  {
    fault: 'three answers lost',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 3,
    async run(rig) {
      rig.fault({ count: 3, effect: { kind: 'lost-answer' } });
      await rig.write(linesAtOnce);
      await rig.shipped();
    },
  },
  {
    fault: 'the connection reset at each byte of the answer',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: resetsMax,
    async run(rig) {
      for (let afterBytes = 0; afterBytes < rig.wire.answerBytes; afterBytes += 1) {
        rig.wire.fault = { kind: 'reset', afterBytes };
        await rig.write(1);
        await rig.shipped();
      }
      expect(rig.repeats()).toBeGreaterThan(100);
    },
  },
  {
    fault: 'an answer that comes byte by byte',
    said: [],
    repeatsMax: 0,
    run: (rig) => rig.oneAnswer({ kind: 'drip' }),
  },
  {
    fault: 'an answer that never ends',
    said: ['events.send-failed', 'events.send-recovered'],
    repeatsMax: 1,
    run: (rig) => rig.oneAnswer({ kind: 'stall' }),
  },
  {
    fault: 'the group or stream not found in mid-flight',
    said: [],
    repeatsMax: 0,
    async run(rig) {
      rig.fault({ count: 1, effect: { kind: 'error', name: 'ResourceNotFoundException' } });
      await rig.write(linesAtOnce);
      await rig.shipped();
    },
  },
  {
    fault: 'the group deleted',
    said: ['events.group-created'],
    repeatsMax: 0,
    async run(rig) {
      rig.deleteGroup();
      await rig.write(linesAtOnce);
      await rig.shipped();
    },
  },
  {
    fault: 'credentials that expire in flight',
    said: [],
    repeatsMax: 0,
    async run(rig) {
      rig.fault({ count: 1, effect: { kind: 'expire-credentials' } });
      await rig.write(linesAtOnce);
      await rig.shipped();
      expect(rig.renewals()).toBe(1);
    },
  },
  {
    fault: 'one event in 10,000 invalid',
    said: ['events.refused'],
    repeatsMax: 0,
    refused: 1,
    async run(rig) {
      await rig.write(10_000, { poisoned: 4_321 });
      await rig.shipped();
    },
  },
  {
    fault: 'events too old, expired and too new, in batches with others',
    said: ['events.refused'],
    repeatsMax: 0,
    refused: 3,
    async run(rig) {
      await rig.write(1, { agoMs: 14 * dayMs + hourMs });
      await rig.write(1, { agoMs: 13.5 * dayMs });
      await rig.write(1, { agoMs: -3 * hourMs });
      await rig.write(1, { agoMs: hourMs });
      await rig.shipped();
      rig.keepDays(13);
      await rig.write(1, { agoMs: 13.5 * dayMs });
      await rig.write(1, { agoMs: 12.75 * dayMs });
      await rig.shipped();
      expect(rig.reasons()).toEqual(['expired', 'too-new', 'too-old']);
    },
  },
  {
    fault: 'the clock an hour ahead, and then an hour behind',
    said: [],
    repeatsMax: 0,
    async run(rig) {
      const before = rig.refusals();
      for (const jumpMs of [hourMs, -2 * hourMs]) {
        rig.clock.jump(jumpMs);
        await rig.write(linesAtOnce);
        await rig.shipped();
      }
      expect(rig.refusals() - before).toBe(2);
    },
  },
  {
    fault: 'the disk full, and then free',
    said: ['events.spool-failed', 'events.spool-recovered'],
    repeatsMax: 0,
    async run(rig) {
      const full = rig.fault({ effect: { kind: 'cut' } });
      // Room for what is kept free, and for some of it.
      rig.disk().spool.bytesMax = 400 * 1024;
      for (let part = 0; part < 20; part += 1) {
        await rig.write(linesAtOnce);
        await rig.pass(3 * secondMs);
      }
      rig.disk().spool.bytesMax = Infinity;
      rig.mend(full);
      await rig.shipped();
    },
  },
  {
    fault: 'a stop while CloudWatch Logs is away, and a start',
    said: ['events.send-failed'],
    repeatsMax: 0,
    async run(rig) {
      const away = rig.fault({ effect: { kind: 'cut' } });
      await rig.write(linesAtOnce);
      await rig.pass(10 * secondMs);
      await rig.stop();
      rig.mend(away);
      await rig.start();
      await rig.shipped();
    },
  },
  {
    fault: `killed at ${kills} seeded moments`,
    said: [],
    repeatsMax: kills,
    heldRepeatsMax: heldMax * kills,
    async run(rig) {
      const { between } = diceOf(1);
      let workUnderWay = 0;
      for (let kill = 0; kill < kills; kill += 1) {
        await rig.write(between(1, 2 * linesAtOnce));
        rig.killAfterCalls(between(0, 6));
        await rig.pass(between(0, 600));
        if (!rig.isShipped()) workUnderWay += 1;
        await rig.kill();
      }
      await rig.shipped();
      expect(workUnderWay).toBeGreaterThan(kills / 2);
      expect(rig.repeats()).toBeGreaterThan(0);
    },
  },
];

const cases = spoolModes.flatMap((mode) => rows.map((row) => ({ ...row, mode })));

test.each(cases)(
  '$fault, spooling $mode: nothing is lost, and all is told',
  async ({ mode, said, repeatsMax, heldRepeatsMax, refused = 0, run }) => {
    const rig = await shippingRig(mode);
    await rig.start();
    await rig.write(10);
    await rig.shipped();
    rig.forgetSaid();

    await run(rig);

    const { repeats, changed, ...account } = await rig.account();
    const isHeld = mode === 'when-needed' && heldRepeatsMax !== undefined;
    expect([rig.unstruck(), rig.wire.fault]).toEqual([0, undefined]);
    expect(account).toEqual({ lost: 0, refused });
    expect(isHeld ? 0 : changed).toBe(0);
    expect(repeats).toBeLessThanOrEqual(isHeld ? heldRepeatsMax : repeatsMax);
    expect([...rig.said()]).toEqual(expect.arrayContaining([...said]));
  },
);

test('docs/events.md has these rows', () => {
  const page = readFileSync('docs/events.md', 'utf8');
  const documented = page.split('\n').filter((text) => /^\| .* \| (?:none|up to .*) \| .* \|$/u.test(text));

  expect(documented).toEqual(
    rows.map(({ fault, said, repeatsMax, heldRepeatsMax, refused }) => {
      const most = repeatsMax === 0 ? 'none' : `up to ${repeatsMax === resetsMax ? 'one each' : repeatsMax}`;
      const repeats = heldRepeatsMax === undefined ? most : `${most}; ${heldRepeatsMax} with \`when-needed\``;
      const told = said.map((name) => `\`${name}\``).join(', ') || 'nothing to tell';
      const letters = refused === undefined ? '' : '; what is refused is in the dead letter';
      return `| ${fault} | ${repeats} | ${told}${letters} |`;
    }),
  );
});
