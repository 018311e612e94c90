import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { throwawayTls } from '../../sandbox/tls.ts';
import { type Child, startNode } from './child.ts';

export interface Received {
  readonly atMs: number;
  /** 0 where they are not counted. */
  readonly events: number;
  /** On the wire; 0 where bodies are not looked at. */
  readonly bytes: number;
  readonly calls: number;
  /** How old lines were that say when they were written. */
  readonly ageMs?: { readonly p50: number; readonly p99: number; readonly max: number };
}

export interface ReceiverOptions {
  /** What ends the measurement, when it has come `times`. */
  readonly lastLine: string;
  readonly times?: number | undefined;
  /** What takes it time: counting events, noting the ages of lines, or reading bodies at all. */
  readonly does?: 'count' | 'ages' | 'read' | undefined;
  /** Answers 503 until it is opened. */
  readonly isClosed?: boolean;
  /** Where the files of its certificate are; without, it speaks plain HTTP. */
  readonly tls?: TlsFiles | undefined;
}

/** CloudWatch Logs in another process, as fast as Node serves HTTP: see receiver-process.ts. */
export interface Receiver {
  readonly url: string;
  readonly pid: number;
  open(): void;
  /** When it took the first body after it was opened. */
  first(): Promise<number>;
  /** When the body came that ends the measurement, and what came until then. */
  last(): Promise<Received>;
}

export async function startReceiver(
  { lastLine, times, does, isClosed = false, tls }: ReceiverOptions,
  opened: AsyncDisposableStack,
): Promise<Receiver> {
  const program = fileURLToPath(new URL('./receiver-process.ts', import.meta.url));
  const options = [
    '--last',
    lastLine,
    ...(times === undefined ? [] : ['--times', String(times)]),
    ...(does === undefined ? [] : [`--${does}`]),
    ...(isClosed ? ['--closed'] : []),
    ...(tls === undefined ? [] : ['--key', tls.key, '--certificate', tls.certificate]),
  ];
  const child: Child = opened.use(startNode([program, ...options]));
  const { text } = await child.line('port ');
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${text.slice('port '.length)}`,
    pid: child.pid,
    open: () => child.write('open'),
    first: async () => (await child.line('first')).atMs,
    async last() {
      const { atMs, text: said } = await child.line('last ');
      return { atMs, ...(JSON.parse(said.slice('last '.length)) as Omit<Received, 'atMs'>) };
    },
  };
}

export interface TlsFiles {
  readonly key: string;
  readonly certificate: string;
  /** The authority that clients must trust. */
  readonly ca: string;
}

/** A certificate for this machine, in files of `folder`. */
export async function tlsFiles(folder: string): Promise<TlsFiles> {
  const { caPem, certificatePem, privateKeyPem } = await throwawayTls();
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  };
  return {
    key: file('key.pem', privateKeyPem),
    certificate: file('certificate.pem', certificatePem),
    ca: file('ca.pem', caPem),
  };
}
