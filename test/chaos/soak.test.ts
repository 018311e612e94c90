import { appendFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { askSocket } from '../../src/api/socket-client.ts';
import { benchHost } from '../bench/bench-host.ts';
import { logText } from '../bench/log-lines.ts';
import { memoryOf } from '../bench/process-usage.ts';
import { programHere } from '../bench/program.ts';
import { startReceiver } from '../bench/receiver.ts';
import { tell } from '../support/dice.ts';

/** `GATEHOUSE_SOAK_MINUTES`, and `GATEHOUSE_SOAK_MB_PER_S` where it is not to be as fast as it goes. */
const minutes = Number(process.env['GATEHOUSE_SOAK_MINUTES'] ?? 2);
const mbPerSecond = Number(process.env['GATEHOUSE_SOAK_MB_PER_S'] ?? Infinity);
const bytesPerMb = 1_000_000;
const pieceMb = 4;
const rotatedAtMb = 200;
const rotatedFilesKept = 2;
/** As much lies unread: enough that the agent never waits for the log. */
const aheadMb = 40;
const sampleEveryMs = 2_000;

interface Sample {
  readonly rssMb: number;
  readonly handles: number;
  readonly files: number;
  readonly stateMb: number;
}

it(
  `memory, handles and files are flat after ${minutes} minutes of ${mbPerSecond === Infinity ? 'full speed' : `${mbPerSecond} MB/s`}`,
  async () => {
    await using opened = new AsyncDisposableStack();
    const receiver = await startReceiver({ lastLine: 'never the last line' }, opened);
    const program = await programHere({ isBuilt: true });
    const host = await benchHost(program, { logsUrl: receiver.url }, opened);
    const { agent } = await host.started();
    opened.use(agent);
    const log = join(host.logFolder, 'app.log');
    const piece = logText(pieceMb * bytesPerMb);
    const samples: Sample[] = [];
    const startedMs = performance.now();
    let written = 0;
    let rotations = 0;
    let nextSampleMs = startedMs;
    for (let nowMs = startedMs; nowMs - startedMs < minutes * 60_000; nowMs = performance.now()) {
      const isDue = written < ((nowMs - startedMs) / 1000) * mbPerSecond * bytesPerMb;
      if (isDue && (await behindMb(host.controlSocket)) < aheadMb) {
        appendFileSync(log, piece);
        written += piece.length;
        if (statSync(log).size > rotatedAtMb * bytesPerMb) {
          rotations += 1;
          rotate(log, rotations);
        }
      } else {
        await timeout(50);
      }
      if (nowMs >= nextSampleMs) {
        samples.push(sampleOf(agent.pid, host.stateDirectory));
        nextSampleMs += sampleEveryMs;
      }
    }

    const third = Math.floor(samples.length / 3);
    const middle = medianOf(samples.slice(third, 2 * third));
    const last = medianOf(samples.slice(2 * third));
    const seconds = (performance.now() - startedMs) / 1000;
    tell(
      `soak: ${Math.round(seconds)} s, ${Math.round(written / bytesPerMb)} MB, ${(written / bytesPerMb / seconds).toFixed(1)} MB/s, ` +
        `${rotations} rotations; middle third ${JSON.stringify(middle)}, last third ${JSON.stringify(last)}, ` +
        `most ${JSON.stringify(mostOf(samples))}`,
    );
    expect(last.rssMb).toBeLessThan(middle.rssMb * 1.1 + 5);
    expect(last.handles).toBeLessThanOrEqual(middle.handles + 3);
    expect(last.files).toBeLessThanOrEqual(middle.files + 3);
    expect(mostOf(samples).stateMb).toBeLessThan(1400);
  },
  (minutes + 2) * 60_000,
);

async function behindMb(socket: string): Promise<number> {
  const { body } = await askSocket(socket, 'GET', '/status', AbortSignal.timeout(30_000));
  const { events } = body as { events: { sources: readonly { lagBytes: number }[] } };
  return events.sources.reduce((sum, { lagBytes }) => sum + lagBytes, 0) / bytesPerMb;
}

function rotate(log: string, rotation: number): void {
  renameSync(log, `${log}.${rotation}`);
  rmSync(`${log}.${rotation - rotatedFilesKept}`, { force: true });
}

function sampleOf(pid: number, stateDirectory: string): Sample {
  const files = readdirSync(stateDirectory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const bytes = files.reduce((sum, { parentPath, name }) => sum + sizeOf(join(parentPath, name)), 0);
  return {
    rssMb: Math.round(memoryOf(pid).rssMb),
    handles: readdirSync(`/proc/${pid}/fd`).length,
    files: files.length,
    stateMb: Math.round(bytes / bytesPerMb),
  };
}

/** 0 for a segment that was removed meanwhile. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function medianOf(samples: readonly Sample[]): Sample {
  return summary(samples, (values) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0);
}

function mostOf(samples: readonly Sample[]): Sample {
  return summary(samples, (values) => Math.max(...values));
}

function summary(samples: readonly Sample[], of: (values: readonly number[]) => number): Sample {
  return {
    rssMb: of(samples.map(({ rssMb }) => rssMb)),
    handles: of(samples.map(({ handles }) => handles)),
    files: of(samples.map(({ files }) => files)),
    stateMb: of(samples.map(({ stateMb }) => stateMb)),
  };
}
