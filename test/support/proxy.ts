import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { onTestFinished } from 'vitest';

/**
 * A proxy that tunnels to wherever it is asked, and remembers where that was. With a password it answers 407 to whoever
 * does not give `user` and it.
 */
export async function proxy({ password }: { readonly password?: string } = {}) {
  const tunnels: string[] = [];
  const wanted = `Basic ${Buffer.from(`user:${password}`).toString('base64')}`;
  const server = createServer().on('connect', (request, socket) => {
    socket.on('error', () => undefined);
    if (password !== undefined && request.headers['proxy-authorization'] !== wanted) {
      socket.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\n\r\n',
      );
      return;
    }
    tunnels.push(request.url ?? '');
    const { hostname, port } = new URL(`http://${request.url}`);
    // Names of AWS lead to this machine: no test leaves it.
    const beyond = connect(Number(port || 80), hostname === 'localhost' ? hostname : '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      beyond.pipe(socket).pipe(beyond);
    });
    socket.on('error', () => beyond.destroy());
    beyond.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const login = password === undefined ? '' : `user:${encodeURIComponent(password)}@`;
  return { tunnels, url: `http://${login}127.0.0.1:${port}` };
}
