import { cpus, loadavg, totalmem } from 'node:os';
import type { Program } from './program.ts';

/** What the figures were measured on. */
export interface Machine {
  /** ISO 8601. */
  readonly at: string;
  readonly node: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryMb: number;
  /** Of the minute before: others at work make absolute figures larger, ratios hardly. */
  readonly load: number;
  /** Commit of each program that was measured, by its name. */
  readonly commits: Readonly<Record<string, string>>;
}

export function machine(programs: readonly Program[]): Machine {
  const processors = cpus();
  return {
    at: new Date().toISOString(),
    node: process.version,
    processor: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryMb: Math.round(totalmem() / 1e6),
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
    commits: Object.fromEntries(programs.map(({ name, commit }) => [name, commit])),
  };
}
