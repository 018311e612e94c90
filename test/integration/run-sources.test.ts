import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { eventually, type Host, setup } from '../support/host.ts';
import { ownAddress } from '../support/own-address.ts';

/** A host whose sources are these; paths of sockets are under its runtime directory. */
async function hostWith(sources: (at: (name: string) => string) => Record<string, unknown>) {
  let runtime = '';
  const host = await setup({
    gateway(document) {
      runtime = String(document.deliveries[0]?.['file']).replace('/secrets/database-password', '');
      document.events = { ...document.events, sources: sources((name) => join(runtime, name)) };
    },
  });
  return { host, at: (name: string) => join(runtime, name) };
}

function post(socketPath: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method: 'POST', headers: { host: 'localhost' } }, (reply) => {
      reply.resume();
      reply.on('end', () => resolve(reply.statusCode ?? 0));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function listening(host: Host, name: string) {
  const agent = host.start();
  await eventually(
    `${name} listens`,
    () =>
      agent
        .lines()
        .some((line) => (line.event === 'events.listening' && line['address'] === name ? true : undefined)) ||
      undefined,
  );
  return agent;
}

it('what was answered with 200 is there after a kill', async () => {
  const { host, at } = await hostWith((path) => ({ intake: { http: { listen: path('events.sock') } } }));
  const answered: string[] = [];
  for (let kill = 0; kill < 3; kill += 1) {
    const agent = await listening(host, at('events.sock'));
    const killing = new AbortController();
    const ended = (async () => {
      for (let each = 0; !killing.signal.aborted; each += 1) {
        const line = `kill ${kill} line ${each}`;
        // One that is told to wait, or whose connection is closed for it was idle, is no answer, and not the end.
        const status = await post(at('events.sock'), line).catch(() => undefined);
        if (status === 200) answered.push(line);
      }
    })();
    await eventually(
      'some answers',
      () => answered.filter((line) => line.startsWith(`kill ${kill}`)).length > 20 || undefined,
    );
    killing.abort();
    agent.kill('SIGKILL');
    await agent.finished;
    await ended;
  }

  const agent = await host.started();
  await eventually(
    'every line that was answered',
    () => answered.every((line) => host.messages('intake').includes(line)) || undefined,
  );
  await agent.stop();

  expect(answered.length).toBeGreaterThan(60);
});

it('syslog by TCP, UDP and a unix socket arrives as JSON', async () => {
  const [tcp, udp] = [5514, 5515];
  const { host, at } = await hostWith((path) => ({
    syslog: {
      syslog: { tcp: `${ownAddress}:${tcp}`, udp: `${ownAddress}:${udp}`, socket: path('syslog.sock') },
    },
  }));
  const agent = await listening(host, `${ownAddress}:${udp}`);
  await eventually(
    'all listen',
    () => agent.lines().filter(({ event }) => event === 'events.listening').length === 3 || undefined,
  );

  connect(tcp, ownAddress).end('<13>app: by tcp\n');
  connect(at('syslog.sock')).end('<13>app: by socket\n');
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.send('<13>app: by udp', udp, ownAddress, () => resolve()));
  socket.close();

  const messages = await eventually('all three', () => {
    const all = host.messages('syslog');
    return all.length === 3 ? all : undefined;
  });
  await agent.stop();
  expect(new Set(messages.map((each) => JSON.parse(each).message))).toEqual(
    new Set(['by socket', 'by tcp', 'by udp']),
  );
});

it('a source that cannot listen makes the agent degraded, which says why', async () => {
  const { host, at } = await hostWith((path) => ({
    network: {
      syslog: {
        tls: { address: `${ownAddress}:5516`, certificate: path('none.pem'), privateKey: path('none.pem') },
        socket: path('syslog.sock'),
      },
    },
  }));
  const agent = await listening(host, at('syslog.sock'));
  await agent.event('events.listen-failed');
  // Sources are started before the agent is ready.
  await agent.event('agent.ready');

  const { state, failing } = await host.status();
  const { stdout } = await host.run(['status']);
  await agent.stop();

  expect([state, failing]).toEqual(['degraded', ['events: source network: ENOENT']]);
  expect(stdout).toMatch(/^failing +events: source network: ENOENT$/mu);
});

it('lines are joined, filtered and timed as the config says', async () => {
  const host = await setup({
    gateway(document) {
      const app = document.events?.sources['app'];
      Object.assign(app ?? {}, {
        multiline: { start: '^\\d{4}-' },
        filter: { exclude: ['(?i)health'] },
        timestamp: { format: '%Y-%m-%d %H:%M:%S', zone: 'Europe/Berlin' },
      });
    },
  });
  const agent = await host.started();
  const day = new Date().toISOString().slice(0, 10);

  host.log([
    `${day} 00:00:02 later`,
    '  with more',
    `${day} 00:00:01 earlier`,
    `${day} 00:00:03 Health`,
    `${day} 00:00:04 last`,
  ]);

  expect(await host.arrived(3)).toEqual([
    `${day} 00:00:01 earlier`,
    `${day} 00:00:02 later\n  with more`,
    `${day} 00:00:04 last`,
  ]);
  await agent.stop();
});

it('lines that are being joined are there after a kill', async () => {
  const host = await setup({
    gateway(document) {
      Object.assign(document.events?.sources['app'] ?? {}, { multiline: { preset: 'java' } });
    },
  });
  let written = 0;
  const write = (): void => {
    const lines = Array.from({ length: 50 }, () => [
      `event ${(written += 1)}`,
      `\tat line of ${written}`,
    ]).flat();
    host.log(lines);
  };
  for (let kill = 0; kill < 4; kill += 1) {
    const agent = await host.started();
    for (let each = 0; each < 5; each += 1) {
      write();
      await turn();
    }
    await eventually('some of it', () => host.messages().length > kill * 100 || undefined);
    agent.kill('SIGKILL');
    await agent.finished;
    write();
  }

  const agent = await host.started();
  const wanted = Array.from({ length: written }, (_, each) => `event ${each + 1}\n\tat line of ${each + 1}`);
  await eventually('every event', () => {
    const found = new Set(host.messages());
    return wanted.every((each) => found.has(each)) || undefined;
  });
  await agent.stop();

  expect(host.messages().filter((each) => each.startsWith('event')).length).toBeGreaterThanOrEqual(
    wanted.length,
  );
});
