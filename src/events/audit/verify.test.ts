import { assert, constantFrom, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ChainHead, firstLink, hashed, headLine, membersIn, nextLink } from './chain.ts';
import type { FindingKind } from './findings.ts';
import { type AuditReport, type AuditVerifierOptions, auditVerifier } from './verify.ts';

const host = { hostId: 'host-1', name: 'web-1', source: 'agent' };
const time = '2026-11-22T12:00:00.000Z';

/** A chain of `count` records as lines, and its heads by sequence. */
function chainOf(count: number, id = 'chain-1', of = host) {
  const lines: string[] = [];
  const heads: ChainHead[] = [];
  let linked = firstLink(id, time, of);
  for (let sequence = 0; sequence < count; sequence += 1) {
    if (sequence > 0)
      linked = nextLink(linked.head, { time, event: 'secret.read', fields: { number: sequence } });
    lines.push(linked.line);
    heads.push(linked.head);
  }
  const headAt = (sequence: number): string =>
    headLine({ head: heads[sequence] as ChainHead, hostId: of.hostId, time, lost: 0, everyMinutes: 15 });
  return { lines, heads, headAt };
}

function verified(
  lines: readonly string[],
  heads: readonly string[] = [],
  options: Partial<AuditVerifierOptions> = {},
  expected?: readonly ChainHead[],
): AuditReport {
  const verifier = auditVerifier({ mayBeginLate: false, now: new Date(time), ...options });
  for (const head of heads) verifier.head(head);
  for (const line of lines) verifier.record(line);
  return verifier.report(expected);
}

const later = (minutes: number): Date => new Date(Date.parse(time) + minutes * 60_000);

const kinds = ({ findings }: AuditReport): FindingKind[] => findings.map(({ kind }) => kind);

describe('a chain that is whole', () => {
  test('is unbroken, and proven to its newest head', () => {
    const { lines, headAt } = chainOf(10);

    const report = verified(lines, [headAt(0), headAt(7)]);

    expect(report).toMatchObject({ isUnbroken: true, records: 10, findings: [] });
    expect(report.chains).toEqual([
      {
        chain: 'chain-1',
        hostId: 'host-1',
        first: 0,
        last: 9,
        firstTime: time,
        lastTime: time,
        records: 10,
        repeated: 0,
        head: { sequence: 7, time, everyMinutes: 15 },
        beyondHead: 2,
        lost: 0,
      },
    ]);
  });

  test('without heads is unbroken too, and it is said that its end may be missing', () => {
    const { lines } = chainOf(3);

    const report = verified(lines);

    expect(report.isUnbroken).toBe(true);
    expect(kinds(report)).toEqual(['no-heads']);
  });

  test('with a batch that came again is unbroken', () => {
    const { lines, headAt } = chainOf(6);

    const report = verified([...lines.slice(0, 4), ...lines.slice(1, 4), ...lines.slice(4)], [headAt(5)]);

    expect(report).toMatchObject({
      isUnbroken: true,
      chains: [{ records: 6, repeated: 3 }],
      findings: [{ kind: 'repeated', sequence: 1, to: 3 }],
    });
  });

  test('is noted to be silent when its heads stopped coming', () => {
    const { lines, headAt } = chainOf(2);

    expect(kinds(verified(lines, [headAt(1)], { now: later(37) }))).toEqual([]);
    expect(kinds(verified(lines, [headAt(1)], { now: later(38) }))).toEqual(['silent']);
  });
});

describe('each record of a chain in turn', () => {
  const count = 12;
  const { lines, headAt } = chainOf(count);
  const heads = [headAt(count - 1)];
  const each = lines.map((line, sequence) => ({ line, sequence }));

  test.each(each)('$sequence dropped is missing', ({ sequence }) => {
    const report = verified(lines.toSpliced(sequence, 1), heads);

    expect(report.isUnbroken).toBe(false);
    expect(report.findings).toEqual([{ kind: 'missing', isBreak: true, chain: 'chain-1', sequence }]);
  });

  test.each(each)('$sequence changed is found', ({ line, sequence }) => {
    const changed = line.replace('success', 'failure').replace('"number":', '"number":1');

    const report = verified(lines.with(sequence, changed), heads);

    expect(report.isUnbroken).toBe(false);
    expect(report.findings).toContainEqual({ kind: 'changed', isBreak: true, chain: 'chain-1', sequence });
  });

  test.each(each.slice(0, -1))(
    '$sequence changed with a new hash of its own is found',
    ({ line, sequence }) => {
      const members = membersIn(line) ?? {};
      const forged = hashed({ ...members, event: 'nothing.happened' }).line;

      const report = verified(lines.with(sequence, forged), heads);

      expect(report.isUnbroken).toBe(false);
      expect(kinds(report)).toContain('unlinked');
    },
  );

  test('the last one changed with a new hash of its own contradicts the head', () => {
    const members = membersIn(lines[count - 1] ?? '') ?? {};
    const forged = hashed({ ...members, event: 'nothing.happened' }).line;

    expect(kinds(verified(lines.with(count - 1, forged), heads))).toEqual(['head-contradicted']);
  });

  test.each(each.slice(1))('$sequence swapped with the one before is out of order', ({ line, sequence }) => {
    const before = lines[sequence - 1] ?? '';

    const report = verified(lines.with(sequence - 1, line).with(sequence, before), heads);

    expect(report).toMatchObject({
      isUnbroken: false,
      findings: [{ kind: 'out-of-order', sequence: sequence - 1 }],
    });
  });

  test.each(each)('$sequence repeated is told, and is no break', ({ line, sequence }) => {
    const report = verified([...lines, line], heads);

    expect(report).toMatchObject({ isUnbroken: true, findings: [{ kind: 'repeated', sequence }] });
  });

  test.each(each)('$sequence beside another with its number is a fork', ({ line }) => {
    const members = membersIn(line) ?? {};
    const forged = hashed({ ...members, event: 'nothing.happened' }).line;

    const report = verified([...lines, forged], heads);

    expect(report.isUnbroken).toBe(false);
    expect(kinds(report)).toContain('forked');
  });
});

describe('any chain, tampered with in any way', () => {
  const tamperings: Readonly<
    Record<string, (lines: readonly string[], at: number, dice: number) => string[]>
  > = {
    dropped: (lines, at) => lines.toSpliced(at, 1),
    cut: (lines, at) => lines.slice(0, at),
    beheaded: (lines, at) => lines.slice(at + 1),
    swapped: (lines, at, dice) => {
      const other = (at + 1 + (dice % (lines.length - 1))) % lines.length;
      return lines.with(at, lines[other] ?? '').with(other, lines[at] ?? '');
    },
    altered: (lines, at, dice) => {
      const line = lines[at] ?? '';
      const place = dice % line.length;
      const other = line[place] === 'x' ? 'y' : 'x';
      return lines.with(at, line.slice(0, place) + other + line.slice(place + 1));
    },
    replaced: (lines, at, dice) =>
      lines.with(at, hashed({ ...membersIn(lines[at] ?? ''), fields: { dice } }).line),
    'put in': (lines, at, dice) => lines.toSpliced(at, 0, JSON.stringify({ dice })),
  };

  test('is broken', () => {
    const chain = integer({ min: 2, max: 30 }).map((count) => chainOf(count));
    assert(
      property(
        chain,
        constantFrom(...Object.keys(tamperings)),
        integer({ min: 0 }),
        integer({ min: 0 }),
        ({ lines, headAt }, how, where, dice) => {
          const tampered = tamperings[how]?.(lines, where % lines.length, dice) ?? [];
          const report = verified(tampered, [headAt(lines.length - 1)]);
          // What stands before the first chain may be older than chains are.
          const isBefore = how === 'put in' && where % lines.length === 0;
          expect({ how, isUnbroken: report.isUnbroken }).toEqual({ how, isUnbroken: isBefore });
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the limits of what is found', () => {
  test('records cut off after the newest head leave no trace', () => {
    const { lines, headAt } = chainOf(10);

    expect(verified(lines.slice(0, 8), [headAt(7)])).toMatchObject({ isUnbroken: true, findings: [] });
    expect(verified(lines.slice(0, 7), [headAt(7)])).toMatchObject({
      isUnbroken: false,
      findings: [{ kind: 'missing', sequence: 7 }],
    });
  });

  test('a head known from elsewhere reaches further', () => {
    const { lines, heads, headAt } = chainOf(10);

    const report = verified(lines.slice(0, 8), [headAt(7)], {}, [heads[9] as ChainHead]);

    expect(report.findings).toEqual([{ kind: 'head-unknown', isBreak: true, sequence: 9 }]);
    expect(verified(lines, [headAt(7)], {}, [heads[9] as ChainHead]).isUnbroken).toBe(true);
  });

  test('where only a part was asked for, a chain may begin late', () => {
    const { lines, headAt } = chainOf(10);
    const rest = [lines.slice(4), [headAt(2), headAt(9)]] as const;

    expect(kinds(verified(...rest))).toEqual(['missing']);
    expect(verified(...rest, { mayBeginLate: true })).toMatchObject({
      isUnbroken: true,
      findings: [{ kind: 'begins-late', sequence: 4 }],
    });
  });

  test('a stream whose records are all gone is told by its heads', () => {
    const { headAt } = chainOf(10);

    expect(verified([], [headAt(9)])).toMatchObject({
      isUnbroken: false,
      findings: [{ kind: 'missing', sequence: 0, to: 9 }],
    });
  });
});

describe('several chains in one stream', () => {
  test('a host that begins again has lost its place', () => {
    const [first, second] = [chainOf(3), chainOf(3, 'chain-2')];

    const report = verified([...first.lines, ...second.lines], [first.headAt(2), second.headAt(2)]);

    expect(report).toMatchObject({ isUnbroken: false, findings: [{ kind: 'restarted', chain: 'chain-2' }] });
  });

  test('another host is only noted, and its records may come in between', () => {
    const [first, second] = [chainOf(3), chainOf(3, 'chain-2', { ...host, hostId: 'host-2' })];
    const between = first.lines.flatMap((line, index) => [line, second.lines[index] ?? '']);

    const report = verified(between, [first.headAt(2), second.headAt(2)]);

    expect(report).toMatchObject({ isUnbroken: true, findings: [{ kind: 'other-host', chain: 'chain-2' }] });
  });
});

test('what is no audit record is noted before the first chain, and breaks it later', () => {
  const { lines, headAt } = chainOf(3);

  expect(kinds(verified(['{"event":"agent.ready"}', ...lines], [headAt(2)], {}))).toContain('unchained');
  expect(verified(['old', ...lines.slice(0, 1), 'new', ...lines.slice(1)])).toMatchObject({
    isUnbroken: false,
    findings: expect.arrayContaining([expect.objectContaining({ kind: 'foreign', count: 1 })]),
  });
});

test('a head that was changed is told', () => {
  const { lines, headAt } = chainOf(3);

  expect(verified(lines, [headAt(2).replace('"lost":0', '"lost":9')])).toMatchObject({ isUnbroken: false });
  expect(kinds(verified(lines, ['nothing', headAt(2)]))).toEqual(['head-damaged']);
});

test('neighbours are told as one, and the list is bounded', () => {
  const { lines } = chainOf(4_000);

  const odd = lines.filter((_line, sequence) => sequence % 2 === 0);

  expect(verified(lines.toSpliced(10, 20)).findings).toContainEqual({
    kind: 'missing',
    isBreak: true,
    chain: 'chain-1',
    sequence: 10,
    to: 29,
  });
  expect(verified(odd)).toMatchObject({ findingsLeftOut: expect.any(Number), isUnbroken: false });
  expect(verified(odd).findings).toHaveLength(1_000);
});
