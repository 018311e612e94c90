import { readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type Server } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { eventsEvent } from '../log-events.ts';
import { errnoOf } from './open-log-file.ts';

export interface SyslogTls {
  readonly address: string;
  /** Paths of PEM files. */
  readonly certificate: string;
  readonly privateKey: string;
  /** Clients must have a certificate of one of these authorities. */
  readonly clientAuthorities?: string | undefined;
}

export interface TlsServerOptions {
  readonly source: string;
  readonly tls: SyslogTls;
  readonly accept: (socket: Socket) => void;
  readonly onRefused: (reason: string) => void;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
}

export interface TlsServer {
  readonly server: Server;
  /** Gives new connections the certificate that is there now, until `signal` aborts. */
  follow(signal: AbortSignal): Promise<void>;
}

/** How often it is looked whether there is another certificate. */
const lookEveryMs = 60_000;

/** A server for TLS. @throws what reading the files, or what is in them, does */
export function tlsServer({ source, tls, accept, onRefused, clock, log }: TlsServerOptions): TlsServer {
  // Before the files are read: what changes meanwhile is read again.
  let seen = marksOf(tls);
  const server = createServer({ ...materialOf(tls), ...clientsOf(tls) }, accept);
  server.on('tlsClientError', (error) => onRefused(errnoOf(error)));
  let isFailing = false;

  /** The certificate in use stays where the new one cannot be used: it may be half written, or its key still the old. */
  function renew(marks: string): void {
    try {
      const material = materialOf(tls);
      createSecureContext(material);
      server.setSecureContext(material);
      seen = marks;
      isFailing = false;
      log(eventsEvent('events.certificate-changed', { source, path: tls.certificate }));
    } catch (error) {
      if (!isFailing) {
        const reason = errnoOf(error);
        log(eventsEvent('events.certificate-failed', { source, path: tls.certificate, reason }));
      }
      isFailing = true;
    }
  }

  return {
    server,
    async follow(signal) {
      while (!signal.aborted) {
        await clock.sleep(lookEveryMs, signal).catch(() => undefined);
        if (signal.aborted) return;
        const marks = marksOf(tls);
        if (marks !== seen) renew(marks);
        // What is in use was put back: should it go again, that is news.
        else isFailing = false;
      }
    },
  };
}

function materialOf({ certificate, privateKey, clientAuthorities }: SyslogTls) {
  return {
    cert: readFileSync(certificate),
    key: readFileSync(privateKey),
    ...(clientAuthorities === undefined ? {} : { ca: readFileSync(clientAuthorities) }),
  };
}

function clientsOf({ clientAuthorities }: SyslogTls) {
  return clientAuthorities === undefined ? {} : { requestCert: true, rejectUnauthorized: true };
}

/** What changes when one of the files does. */
function marksOf({ certificate, privateKey, clientAuthorities }: SyslogTls): string {
  const paths = [certificate, privateKey, ...(clientAuthorities === undefined ? [] : [clientAuthorities])];
  return paths.map(markOf).join();
}

function markOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    // Whoever reads it next says so.
    return errnoOf(error);
  }
}
