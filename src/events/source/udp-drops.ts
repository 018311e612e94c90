import { readFileSync } from 'node:fs';

/** Datagrams that the kernel has thrown away because the socket's buffer was full, for all sockets at a port. */
export function dropsOf(port: number): number {
  return ['/proc/net/udp', '/proc/net/udp6'].reduce((sum, path) => sum + dropsIn(textOf(path), port), 0);
}

/** Lines of /proc/net/udp: `sl local_address rem_address … inode ref pointer drops`. */
export function dropsIn(table: string, port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/u))
    .filter(([, local]) => local?.endsWith(`:${hex}`) === true)
    .reduce((sum, columns) => sum + (Number(columns.at(-1)) || 0), 0);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
