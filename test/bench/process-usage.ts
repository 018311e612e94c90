import { readFileSync } from 'node:fs';

/** Linux, every architecture that Node runs on: sysconf(_SC_CLK_TCK). */
const tickMs = 10;
const bytesPerKb = 1024;
const bytesPerMb = 1_000_000;

/** CPU milliseconds, user and system, of a process with all its threads since it started. Steps of 10 ms. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // proc(5): fields 14 and 15; the name before may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

export interface Memory {
  readonly rssMb: number;
  /** Pages that no other process shares. */
  readonly privateMb: number;
  readonly peakMb: number;
}

/** Memory of a process, in MB of 10⁶ bytes. */
export function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    rssMb: mbIn(rollup, 'Rss'),
    privateMb: mbIn(rollup, 'Private_Clean') + mbIn(rollup, 'Private_Dirty'),
    peakMb: mbIn(status, 'VmHWM'),
  };
}

function mbIn(text: string, name: string): number {
  const [, kb] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'mu').exec(text) ?? [];
  if (kb === undefined) throw new Error(`no ${name} in /proc`);
  return (Number(kb) * bytesPerKb) / bytesPerMb;
}
