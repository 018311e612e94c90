import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type Bench, figuresOf, type Report, type Sample, type Subject } from './measure.ts';

const run = promisify(execFile);

test('npm run bench -- start --json --quick prints one JSON document with every figure beside its baselines', async () => {
  const { stdout } = await run('npm', ['run', '-s', 'bench', '--', 'start', '--json', '--quick', '--built']);

  const { machine, benches } = JSON.parse(stdout) as Report;
  expect(machine.commits).toHaveProperty('here');
  expect(benches.map(({ bench, isQuick }) => ({ bench, isQuick }))).toEqual([
    { bench: 'start', isQuick: true },
  ]);
  const figures = benches.flatMap((result) => result.figures).filter(({ quantity }) => quantity === 'wall');
  expect(figures.map(({ subject: name, beside }) => [name, beside.map((other) => other.subject)])).toEqual([
    ['node -e 0', []],
    ['import only', ['node -e 0']],
    ['agent, gateway config only', ['node -e 0', 'import only']],
    ['agent', ['node -e 0', 'import only']],
    ['agent, 20 sealed files', ['node -e 0', 'import only']],
    ['agent, 20 sealed files under an RSA key', ['node -e 0', 'import only']],
  ]);
  for (const { unit, median } of figures) {
    expect(unit).toBe('ms');
    expect(median).toBeGreaterThan(0);
  }
});

function program(name: string) {
  return { name, isHere: name === 'here', commit: '', dist: '', nodeFlags: [], env: {} };
}

function measure(): Promise<Sample> {
  return Promise.reject(new Error('this one is not measured'));
}

function subject(name: string, of?: string): Subject {
  return of === undefined ? { name, measure } : { name, program: program(of), measure };
}

function walls(...values: number[]): Sample[] {
  return values.map((wall) => ({ wall }));
}

describe('figures', () => {
  const bench: Bench = {
    name: 'bench',
    summary: '',
    units: { wall: 'ms' },
    baselines: ['bare'],
    aims: [{ subject: 'agent', quantity: 'wall', most: 10, above: 'bare' }],
    rounds: { usual: 1, quick: 1 },
    prepare: () => Promise.resolve([]),
  };
  test('are medians, and their ratios are medians of pairs of one round', () => {
    const samples = new Map([
      [subject('bare'), walls(1, 10, 100)],
      [subject('agent', 'here'), walls(3, 20, 900)],
    ]);

    const agent = figuresOf(bench, samples)[1];

    expect(agent?.median).toBe(20);
    expect(agent?.beside).toEqual([{ subject: 'bare', ratio: 3, difference: 10 }]);
    expect(agent?.aim).toEqual({ most: 10, above: 'bare', isMet: true });
  });

  test('of this tree are held against those of the other commit, not the other way', () => {
    const samples = new Map([
      [subject('agent', 'here'), walls(5)],
      [subject('agent', 'main'), walls(10)],
    ]);

    const [here, main] = figuresOf(bench, samples);

    expect(here?.beside).toEqual([{ subject: 'agent', program: 'main', ratio: 0.5, difference: -5 }]);
    expect(main?.beside).toEqual([]);
    expect(here?.aim?.isMet).toBe(false);
  });

  test('beside a baseline of nothing have no ratio', () => {
    const samples = new Map([
      [subject('bare'), walls(0)],
      [subject('agent', 'here'), walls(5)],
    ]);

    expect(figuresOf(bench, samples)[1]?.beside).toEqual([]);
  });
});
