/** Above standard input, output and error. */
const firstFd = 3;
const socketsMax = 1_000;

/**
 * Sockets that systemd opened for this process, by their FileDescriptorName=, as file descriptors. Names that are given
 * twice count once, the first.
 * Source: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
 */
export function inheritedSockets(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): ReadonlyMap<string, number> {
  const sockets = new Map<string, number>();
  const { LISTEN_PID: meant, LISTEN_FDS: count = '', LISTEN_FDNAMES: names = '' } = env;
  // Set for another process, and only inherited by this one.
  if (meant !== String(pid) || !/^\d{1,4}$/u.test(count)) return sockets;
  const given = names.split(':').slice(0, Math.min(Number(count), socketsMax));
  for (const [index, name] of given.entries()) if (!sockets.has(name)) sockets.set(name, firstFd + index);
  return sockets;
}
