import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

export interface ScriptedEndpoint {
  readonly url: string;
  /** `METHOD PATH`, in order. */
  readonly asked: readonly string[];
}

/** An HTTP server on loopback, for one test, that answers what its script says, in every way a real one should not. */
export async function scriptedEndpoint(
  script: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<ScriptedEndpoint> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    script(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = addressOf(server);
  return { url: `http://127.0.0.1:${port}`, asked };
}

/** An address where nothing listens: a port that only root could take, and nobody does. */
export const deadEndpoint = async (): Promise<string> => 'http://127.0.0.1:9';

/** An address that is silent: who listens there accepts nobody, and those who wait for it are as many as may. */
export async function fullEndpoint(): Promise<string> {
  const source = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, server.address().port + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const port = Number(line);
  for (let waiting = 0; waiting < 4; waiting += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    if (waiting < 2) await once(socket, 'connect');
  }
  return `http://127.0.0.1:${port}`;
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server listens on no port');
  return address;
}
