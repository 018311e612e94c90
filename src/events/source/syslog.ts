import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { aborted } from '../../base/aborted.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import type { EventSource } from '../event-source.ts';
import { messageBytesMax } from '../limits.ts';
import { eventsEvent } from '../log-events.ts';
import { type SeldomSaid, seldomSaid } from '../seldom-said.ts';
import { type Address, addressOf } from './address.ts';
import { connectionsMax, listenOn, removeSocket, untilListening } from './listen.ts';
import { errnoOf } from './open-log-file.ts';
import { pushed } from './pushed.ts';
import { syslogFrames } from './syslog-frames.ts';
import { parseSyslog } from './syslog-message.ts';
import { type SyslogTls, type TlsServer, tlsServer } from './syslog-tls.ts';
import { dropsOf } from './udp-drops.ts';

interface Peer {
  readonly socket: Socket;
  /** When it last said something, or was last let speak, on the monotonic clock. */
  heardAtMs: number;
  /** It is we who do not read: there is no room for what it said. */
  isHeld: boolean;
  /** Of a message that is not whole. */
  unfinishedBytes: number;
  /** Why we let it go. */
  letGo?: 'idle' | 'stopping';
}

interface Listener {
  readonly transport: 'udp' | 'tcp' | 'tls' | 'socket';
  readonly name: string;
  readonly address: Address;
}

interface Listened {
  readonly server: Server;
  readonly follow?: TlsServer['follow'];
}

export interface SyslogSourceOptions {
  readonly name: string;
  readonly udp?: string | undefined;
  readonly tcp?: string | undefined;
  readonly tls?: SyslogTls | undefined;
  /** Path of a unix stream socket, and its mode in octal digits. */
  readonly socket?: string | undefined;
  readonly mode: string;
  /** The message as it came, or its parts as JSON. */
  readonly format: 'json' | 'raw';
  readonly queueBytesMax?: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when each listens, and where. */
  readonly onListening?: (transport: Listener['transport'], port: number | undefined) => void;
}

/** Of messages that are not whole, all peers together. Who has no more of it than his share is never let go for that. */
const unfinishedBytesMax = 16 * 2 ** 20;
const unfinishedShareBytes = unfinishedBytesMax / connectionsMax;
/** A peer that says nothing for so long is let go. */
const idleMsMax = 10 * 60 * 1000;
/** Asked of the kernel, which may give less: what comes while this thread is busy waits there. */
const datagramBufferBytes = 4 * 2 ** 20;
/** How often the kernel's count of lost datagrams is read. */
const dropsEveryMs = 10_000;

/** Peers have more of messages that are not whole than may be held. */
class TooMuchUnfinished extends RangeError {}

/**
 * Syslog by UDP, TCP, TLS and unix stream socket, RFC 5424 and 3164, framed by RFC 6587. Guarantee on kill: none for
 * what is in flight, for nothing is acknowledged in syslog. While the spool is full TCP peers wait, however long; datagrams are
 * lost, and counted: ours and those that the kernel had no room for. So is what is held of a peer that goes.
 */
export function syslogSource(options: SyslogSourceOptions): EventSource {
  const { name, tls, format, mode, queueBytesMax, clock, log, onListening } = options;
  const listeners = listenersOf(options);
  const source = pushed({ ...(queueBytesMax === undefined ? {} : { queueBytesMax }), clock, listen });
  const peers = new Set<Peer>();
  const receiving = new Set<Promise<void>>();
  /** By reason. */
  const refusals = new Map<string, SeldomSaid>();
  let unfinishedBytes = 0;
  /** Listeners that do not listen, and why. */
  const failing = new Map<Listener, string>();
  let dropped = 0;
  let saidDropped = 0;

  async function listen(signal: AbortSignal): Promise<void> {
    await Promise.all(
      listeners.map((listener) =>
        listener.transport === 'udp' ? datagrams(listener, signal) : streams(listener, signal),
      ),
    );
    sayDropped();
    for (const each of refusals.values()) each.end();
  }

  /** Whoever tries ports, or has a certificate that ran out, comes again and again. */
  function noteRefused(reason: string): void {
    const said =
      refusals.get(reason) ??
      seldomSaid(clock, (times) =>
        log(eventsEvent('events.peer-refused', { source: name, reason, peers: times })),
      );
    refusals.set(reason, said);
    said.note();
  }

  function noteFailing(listener: Listener): (reason: string | undefined) => void {
    return (reason) => {
      if (reason === undefined) failing.delete(listener);
      else failing.set(listener, reason);
    };
  }

  function eventOf(message: Buffer): Buffer {
    if (format === 'raw') return message;
    // As latin1, so that UTF-8, and what is none, passes through byte by byte.
    return Buffer.from(JSON.stringify(parseSyslog(message.toString('latin1'))), 'latin1');
  }

  async function streams(listener: Listener, signal: AbortSignal): Promise<void> {
    let made: Listened | undefined;
    const { address, name: addressName } = listener;
    const where = { source: name, name: addressName, address, mode: Number.parseInt(mode, 8), clock, log };
    await untilListening(
      async () => {
        made = serverFor(listener, (socket) => accept(socket, signal));
        await listenOn(made.server, where);
      },
      where,
      noteFailing(listener),
      signal,
    );
    const bound = made?.server.address();
    if (bound !== undefined)
      onListening?.(listener.transport, typeof bound === 'object' ? bound?.port : undefined);
    await Promise.all([aborted(signal), made?.follow?.(signal)]);
    made?.server.close();
    for (const peer of peers) letGo(peer, 'stopping');
    await Promise.all(receiving);
    await removeSocket(address);
  }

  function serverFor({ transport }: Listener, accepted: (socket: Socket) => void): Listened {
    if (transport !== 'tls') return { server: createServer(accepted) };
    if (tls === undefined) throw new TypeError('TLS needs a certificate');
    return tlsServer({ source: name, tls, accept: accepted, onRefused: noteRefused, clock, log });
  }

  function accept(socket: Socket, stop: AbortSignal): void {
    if (stop.aborted) {
      // Its handshake took until now, and nobody would take what it sends.
      socket.destroy();
      return;
    }
    const work = receive(socket).finally(() => receiving.delete(work));
    receiving.add(work);
  }

  async function receive(socket: Socket): Promise<void> {
    const peer: Peer = { socket, heardAtMs: clock.monotonic(), isHeld: false, unfinishedBytes: 0 };
    const over = new AbortController();
    peers.add(peer);
    // Heard by the loop below while that reads; a connection may break after its end too.
    socket.on('error', () => undefined);
    void letGoWhenSilent(peer, over.signal);
    const frames = syslogFrames(messageBytesMax);
    let reason = 'stopping';
    let lost = 0;
    try {
      for await (const piece of socket as AsyncIterable<Buffer>) {
        for (const message of frames.push(piece)) if (!(await take(message, peer))) lost += 1;
        peer.heardAtMs = clock.monotonic();
        noteUnfinished(peer, frames.heldBytes);
        letGoOfTooMuch();
      }
      for (const message of frames.end()) if (!(await take(message, peer))) lost += 1;
    } catch (error) {
      if (error instanceof RangeError) {
        noteRefused(error instanceof TooMuchUnfinished ? 'too-much-unfinished' : 'frame-too-long');
      } else {
        reason = peer.letGo ?? errnoOf(error);
        lost += frames.end().length;
      }
    } finally {
      over.abort();
      noteUnfinished(peer, 0);
      peers.delete(peer);
      socket.destroy();
    }
    if (lost > 0) log(eventsEvent('events.messages-lost', { source: name, reason, messages: lost }));
  }

  function letGo(peer: Peer, why: 'idle' | 'stopping'): void {
    peer.letGo = why;
    peer.socket.destroy();
  }

  function noteUnfinished(peer: Peer, bytes: number): void {
    unfinishedBytes += bytes - peer.unfinishedBytes;
    peer.unfinishedBytes = bytes;
  }

  /** Of those with a large share the most silent: whoever speaks will come to an end, and others fill memory and wait. */
  function letGoOfTooMuch(): void {
    while (unfinishedBytes > unfinishedBytesMax) {
      const [mostSilent] = [...peers]
        .filter((peer) => peer.unfinishedBytes > unfinishedShareBytes)
        .toSorted((one, other) => silentMsOf(other) - silentMsOf(one));
      if (mostSilent === undefined) return;
      noteUnfinished(mostSilent, 0);
      mostSilent.socket.destroy(new TooMuchUnfinished());
    }
  }

  /** One that waits for room is not silent. */
  function silentMsOf({ isHeld, heardAtMs }: Peer): number {
    return isHeld ? 0 : clock.monotonic() - heardAtMs;
  }

  async function letGoWhenSilent(peer: Peer, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const silentMs = silentMsOf(peer);
      if (silentMs >= idleMsMax) return letGo(peer, 'idle');
      await clock.sleep(idleMsMax - silentMs, signal).catch(() => undefined);
    }
  }

  /** Waits for room: so do the peer's writes, once its socket is full. False when the source ends first. */
  async function take(message: Buffer, peer: Peer): Promise<boolean> {
    const event = eventOf(message);
    while (!source.push(event, true)) {
      peer.isHeld = true;
      const isRoom = await source.roomAgain();
      peer.isHeld = false;
      peer.heardAtMs = clock.monotonic();
      if (!isRoom) return false;
    }
    return true;
  }

  async function datagrams(listener: Listener, signal: AbortSignal): Promise<void> {
    const { address } = listener;
    if (address.kind !== 'port') throw new TypeError('there are no datagram sockets in the file system');
    let socket: DatagramSocket | undefined;
    await untilListening(
      async () => {
        socket = await datagramSocket(address);
      },
      { source: name, name: listener.name, clock, log },
      noteFailing(listener),
      signal,
    );
    if (socket !== undefined) {
      const { port } = socket.address();
      socket.on('message', (message) => {
        const bytes = message.at(-1) === 0x0a ? message.subarray(0, -1) : message;
        if (bytes.length > 0 && !source.push(eventOf(bytes), true)) dropped += 1;
      });
      onListening?.(listener.transport, port);
      await watchDrops(port, signal);
      socket.close();
    }
  }

  /** Says what was lost, here and in the kernel, from time to time. */
  async function watchDrops(port: number, signal: AbortSignal): Promise<void> {
    let inKernel = dropsOf(port);
    while (!signal.aborted) {
      await clock.sleep(dropsEveryMs, signal).catch(() => undefined);
      const now = dropsOf(port);
      dropped += now - inKernel;
      inKernel = now;
      sayDropped();
    }
  }

  function sayDropped(): void {
    if (dropped === saidDropped) return;
    log(eventsEvent('events.datagrams-dropped', { source: name, datagrams: dropped - saidDropped }));
    saidDropped = dropped;
  }

  return {
    ...source,
    counts() {
      const [reason] = failing.values();
      return { ...source.counts(), ...(reason === undefined ? {} : { failing: reason }) };
    },
  };
}

function listenersOf({ udp, tcp, tls, socket }: SyslogSourceOptions): readonly Listener[] {
  const wanted = [
    ['udp', udp],
    ['tcp', tcp],
    ['tls', tls?.address],
    ['socket', socket],
  ] as const;
  return wanted.flatMap(([transport, name]) => {
    return name === undefined ? [] : [{ transport, name, address: addressOf(name) }];
  });
}

function datagramSocket({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<DatagramSocket> {
  const socket = createSocket({
    type: host.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: datagramBufferBytes,
  });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, host, () => {
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
