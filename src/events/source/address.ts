import { isAbsolutePath } from '../../base/path-rules.ts';

/** Where a source listens: a path is a unix socket, anything else an address of this host and a port. */
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'port'; readonly host: string; readonly port: number };

const hostAndPort = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/u;

/** `/path`, `127.0.0.1:514` or `[::1]:514`; undefined for anything else. Names are none: they may lead anywhere. */
export function parseAddress(text: string): Address | undefined {
  if (isAbsolutePath(text)) return { kind: 'unix', path: text };
  const [, v6, v4, port] = hostAndPort.exec(text) ?? [];
  const host = v6 ?? v4;
  if (host === undefined || Number(port) > 65_535) return undefined;
  return { kind: 'port', host, port: Number(port) };
}

/** @throws TypeError for what `parseAddress` does not know: the config lets no such thing through. */
export function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new TypeError('this is no address to listen at');
  return address;
}
