// Preloaded into a process: tells the most memory that it held, in kilobytes, as the last line of its stderr. VmHWM and not
// getrusage(2): its ru_maxrss survives exec(2), so it would be that of the bench where the bench is the larger one.
import { readFileSync, writeSync } from 'node:fs';

process.on('exit', () => {
  const [, kb] = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  writeSync(2, `\n${kb}\n`);
});
