// Preloaded into a process: tells the most memory that it held, in kilobytes, as the last line of its stderr.
import { writeSync } from 'node:fs';

process.on('exit', () => writeSync(2, `\n${process.resourceUsage().maxRSS}\n`));
