import { chmod, mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { socketFolderPrefix } from '../../base/path-rules.ts';
import { eventsEvent } from '../log-events.ts';
import { seldomSaid } from '../seldom-said.ts';
import type { Address } from './address.ts';
import { errnoOf } from './open-log-file.ts';

export interface Listening {
  readonly source: string;
  readonly address: Address;
  /** As it is named in the log. */
  readonly name: string;
  /** Mode of a unix socket. */
  readonly mode: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
}

const tryEveryMs = 5_000;
/** At a time, of one listener. */
export const connectionsMax = 256;

/**
 * Tries until it listens or `signal` aborts: another process may hold the address, a folder may come later. Tells
 * `onFailing` why it does not.
 */
export async function untilListening(
  start: () => Promise<void>,
  { source, name, clock, log }: Pick<Listening, 'source' | 'name' | 'clock' | 'log'>,
  onFailing: (reason: string | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await start();
      onFailing(undefined);
      log(eventsEvent('events.listening', { source, address: name }));
      return;
    } catch (error) {
      const reason = errnoOf(error);
      onFailing(reason);
      if (failures === 0) log(eventsEvent('events.listen-failed', { source, address: name, reason }));
      await clock.sleep(tryEveryMs, signal).catch(() => undefined);
    }
  }
}

/**
 * Listens on an address. A unix socket is bound in a private folder and renamed into place, so that it has its mode
 * from the first instant that its name exists; one left by a killed agent is replaced.
 */
export async function listenOn(server: Server, listening: Listening): Promise<void> {
  const { address, mode } = listening;
  server.maxConnections = connectionsMax;
  if (address.kind === 'port') await bound(server, { host: address.host, port: address.port });
  else await boundInPlace(server, address, mode);
  outliveAcceptFailures(server, listening);
  sayRefused(server, listening);
}

async function boundInPlace(
  server: Server,
  address: Address & { kind: 'unix' },
  mode: number,
): Promise<void> {
  const folder = await mkdtemp(join(dirname(address.path), socketFolderPrefix));
  const unnamed = join(folder, 's');
  try {
    await bound(server, { path: unnamed });
    await chmod(unnamed, mode);
    await rename(unnamed, address.path);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await rm(unnamed, { force: true });
    await rmdir(folder);
  }
}

/** Without a listener an error of the server, a failed accept say, would end this thread and the agent with it. */
function outliveAcceptFailures(
  server: Server,
  { source, name, log }: Pick<Listening, 'source' | 'name' | 'log'>,
): void {
  let isFailing = false;
  server.on('error', (error) => {
    if (!isFailing)
      log(eventsEvent('events.accept-failed', { source, address: name, reason: errnoOf(error) }));
    isFailing = true;
  });
  server.on('connection', () => {
    if (isFailing) log(eventsEvent('events.accept-recovered', { source, address: name }));
    isFailing = false;
  });
}

/** Node closes a connection beyond the bound without a word to anybody: who sent something by it may not notice. */
function sayRefused(server: Server, { source, name, clock, log }: Omit<Listening, 'address' | 'mode'>): void {
  const refused = seldomSaid(clock, (connections) =>
    log(eventsEvent('events.connections-refused', { source, address: name, connections, connectionsMax })),
  );
  server.on('drop', () => refused.note());
  server.on('close', () => refused.end());
}

export async function removeSocket(address: Address): Promise<void> {
  if (address.kind === 'unix') await rm(address.path, { force: true });
}

function bound(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(error);
    server.once('error', failed);
    server.listen(where, () => {
      server.off('error', failed);
      resolve();
    });
  });
}
