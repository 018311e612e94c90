import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { KmsState } from '../../sandbox/kms/state.ts';
import { parseStateText } from '../../sandbox/state-text.ts';
import { eventually, numbered, setup } from '../support/host.ts';

/** One batch is taken while the mark of the one before it is on its way to the disk. */
const repeatedAtAKill = 2;

describe('one state directory', () => {
  it('takes a second agent not in, while the first goes on', async () => {
    const host = await setup();
    const first = await host.started();

    const second = await host.start({ GATEHOUSE_RUNTIME_DIRECTORY: join(host.runtimeDirectory, 'other') })
      .finished;

    expect(second.stderr).toContain('(STATE_DIRECTORY_LOCKED)');
    expect(second.stderr).toMatch(/^hint: /mu);
    expect(second.code).toBe(75);
    host.log(['still here']);
    expect(await host.arrived(1)).toStrictEqual(['still here']);
    expect((await host.status()).pid).toBe(first.pid);
  });

  it('leaves the socket of the first agent alone when the second has its runtime directory too', async () => {
    const host = await setup();
    const first = await host.started();

    await host.start().finished;

    expect((await host.status()).pid).toBe(first.pid);
  });

  it('and its files are private', async () => {
    const host = await setup();
    await host.started();

    expect(statSync(host.stateDirectory).mode & 0o777).toBe(0o700);
    const modes = readdirSync(host.stateDirectory, { recursive: true, withFileTypes: true }).flatMap(
      (entry) => {
        // The agent is at work: a draft that was listed may have its name by now.
        const stat = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false });
        return stat === undefined ? [] : [[entry.isDirectory(), stat.mode & 0o777]];
      },
    );
    expect(modes.length).toBeGreaterThanOrEqual(8);
    expect(
      modes.filter(([isDirectory, mode]) => mode !== (isDirectory === true ? 0o700 : 0o600)),
    ).toStrictEqual([]);
  });
});

it('a state directory of a newer version is refused before anything in it is touched', async () => {
  const host = await setup();
  await (await host.started()).stop();
  writeFileSync(join(host.stateDirectory, 'version'), '3\n');
  const before = readdirSync(host.stateDirectory, { recursive: true });

  const { code, stderr } = await host.start().finished;

  expect(stderr).toContain('(STATE_DIRECTORY_NEWER)');
  expect(stderr).toMatch(/^hint: /mu);
  expect(code).toBe(78);
  expect(readdirSync(host.stateDirectory, { recursive: true })).toStrictEqual(before);
});

/**
 * What the last agent of version 1 (commit b39a78c) left when it was killed: lines 0 to 4 had been shipped, 5 to 12 not,
 * for CloudWatch Logs was away. With it the key of the sandbox that it was sealed under. The log is not there any more.
 */
it('a state directory that an agent of version 1 left is taken over, and all that waited in it is shipped', async () => {
  const host = await setup();
  execFileSync('tar', ['-xzf', join(import.meta.dirname, 'state-version-1.tar.gz'), '-C', host.disk]);
  renameSync(join(host.disk, 'state-version-1'), host.stateDirectory);
  const kms = parseStateText(readFileSync(join(host.disk, 'kms.json'), 'utf8')) as KmsState;
  for (const [arn, key] of kms.keys) {
    host.sandbox.state.kms.keys.set(arn, key);
    await host.putGateway((document) => {
      document.keys = { bindingKey: arn };
    });
  }
  const hostId = readFileSync(join(host.stateDirectory, 'host-id'), 'utf8').trim();

  const agent = await host.started();
  await eventually('nothing waits', async () => (await host.status()).events?.spool.batches === 0);
  // Nothing older than 14 days is taken, and this grows old: then it comes by way of the dead letter.
  await host.run(['events', 'dead-letter', 'retry', '--all', '--now']);

  expect(await agent.event('events.spool-migrated')).toMatchObject({ batches: 6, deadLetters: 0 });
  const shipped = await host.arrived(8);
  expect(shipped.toSorted((a, b) => numberIn(a) - numberIn(b))).toStrictEqual(
    Array.from({ length: 8 }, (_line, index) => `line ${index + 5}`),
  );
  expect((await host.status()).hostId).toBe(hostId);
  expect(readdirSync(host.stateDirectory)).not.toContain('spool.db');
  const links = await eventually('the audit of both agents', () => {
    const records = host.messages('agent').map((message) => JSON.parse(message) as AuditLink);
    const isWhole = records.some(({ event }) => event === 'agent.ready');
    return isWhole ? records.toSorted((a, b) => a.sequence - b.sequence) : undefined;
  });
  expect(links[0]).toMatchObject({ sequence: 6, event: 'events.group-created' });
  for (const [index, { sequence, previous }] of links.slice(1).entries()) {
    expect([sequence, previous]).toStrictEqual([(links[index]?.sequence ?? 0) + 1, links[index]?.hash]);
  }
});

function numberIn(line: string): number {
  return Number(line.slice('line '.length));
}

interface AuditLink {
  readonly event: string;
  readonly sequence: number;
  readonly previous: string;
  readonly hash: string;
}

describe('after a kill -9', () => {
  it('the socket that it left is replaced, and the host keeps its id', async () => {
    const host = await setup();
    const killed = await host.started();
    const { hostId } = await host.status();
    killed.kill('SIGKILL');
    await killed.finished;
    const dead = await host.run(['status']);

    const agent = await host.started();

    expect(dead.code).toBe(69);
    const status = await host.status();
    expect(status.pid).toBe(agent.pid);
    expect(status.hostId).toBe(hostId);
  });

  it('no line is lost and at most one batch comes twice', async () => {
    const host = await setup();
    const total = 20_000;
    const killed = await host.started();
    host.log(numbered(1));
    await host.arrived(1);
    // Else it may be the answer to this one that is lost.
    await eventually(
      'the first line settled',
      async () => (await host.status()).events?.spool.batches === 0 || undefined,
    );
    // The answer is lost, so that it is killed with a batch that CloudWatch Logs has and it does not know.
    host.sandbox.faults.add({ service: 'logs', operation: 'PutLogEvents', effect: { kind: 'lost-answer' } });
    for (let first = 1; first < total; first += 1000)
      host.log(numbered(Math.min(1000, total - first), first));
    await host.arrived(2);
    killed.kill('SIGKILL');
    await killed.finished;
    host.sandbox.faults.clear();

    await host.started();
    await host.arrivedOnce(total);

    const arrivals = host.batches();
    const distinct = [...new Set(arrivals.map((batch) => batch.join('\n')))];
    expect(distinct.flatMap((batch) => batch.split('\n'))).toStrictEqual(numbered(total));
    const repeated = distinct.filter(
      (text) => arrivals.filter((batch) => batch.join('\n') === text).length > 1,
    );
    expect(repeated).toHaveLength(1);
  });

  it.each([
    ['a glob that knows rotated files', '*.log*', false],
    ['a glob that does not, once a line of the file was sent', '*.log', true],
  ])('and another, through rotations, no line is lost with %s', async (_what, glob, isOwn) => {
    const host = await setup();
    await host.putGateway(({ events }) => {
      if (events !== undefined) events.sources['app'] = { files: [join(host.logFolder, glob)] };
    });
    const kills = 4;
    const each = 10_000;
    for (let kill = 0; kill < kills; kill += 1) {
      const agent = await host.started();
      const before = host.messages().length;
      const [ownLine = ''] = numbered(1, kill * each);
      for (let first = kill * each; first < (kill + 1) * each; first += 1000) host.log(numbered(1000, first));
      await eventually('a batch', () => {
        const messages = host.messages();
        return (isOwn ? messages.includes(ownLine) : messages.length > before) || undefined;
      });
      renameSync(host.logFile, `${host.logFile}.${kill}`);
      agent.kill('SIGKILL');
      await agent.finished;
    }

    await host.started();
    await host.arrivedOnce(kills * each);

    const batches = host.batches().map((batch) => batch.join('\n'));
    expect([...new Set(host.messages())].toSorted()).toStrictEqual(numbered(kills * each).toSorted());
    expect(batches.length - new Set(batches).size).toBeLessThanOrEqual(repeatedAtAKill * kills);
  });

  it('while it reads, positions and batches agree', async () => {
    const host = await setup();
    const total = 60_000;
    host.log(numbered(total));
    const killed = host.start();
    await host.arrived(1);
    killed.kill('SIGKILL');
    await killed.finished;

    await host.started();
    await host.arrivedOnce(total);

    const batches = host.batches();
    const repeated = batches.length - new Set(batches.map((batch) => batch.join('\n'))).size;
    expect(repeated).toBeLessThanOrEqual(repeatedAtAKill);
    expect([...new Set(host.messages())]).toStrictEqual(numbered(total));
  });
});

describe('after a SIGTERM', () => {
  it('the next agent goes on where the last one was', async () => {
    const host = await setup();
    const first = await host.started();
    host.log(numbered(100));
    await host.arrived(100);
    await first.stop();
    host.log(numbered(100, 100));

    await host.started();

    expect(await host.arrived(200)).toStrictEqual(numbered(200));
  });

  it('the next agent finishes a file that was renamed while none ran, and takes the new one after it', async () => {
    const host = await setup();
    const first = await host.started();
    host.log(numbered(100));
    await host.arrived(100);
    await first.stop();
    host.log(numbered(50, 100));
    renameSync(host.logFile, `${host.logFile}.1`);
    host.log(numbered(50, 150));

    await host.started();

    expect(await host.arrived(200)).toStrictEqual(numbered(200));
  });
});

it('a log path that is a directory is refused with an event, and the other files are shipped', async () => {
  const host = await setup();
  mkdirSync(join(host.logFolder, 'folder.log'));
  host.log(numbered(10));

  const agent = await host.started();

  const refused = await agent.event('events.file-refused');
  expect(refused).toMatchObject({ path: join(host.logFolder, 'folder.log'), reason: 'directory' });
  expect(await host.arrived(10)).toStrictEqual(numbered(10));
});
