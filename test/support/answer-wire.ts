import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What happens to the next answer: its connection is reset after so many bytes, or it comes byte by byte, or never ends. */
export type AnswerFault =
  | { readonly kind: 'reset'; readonly afterBytes: number }
  | { readonly kind: 'drip' }
  | { readonly kind: 'stall' };

/** A wire to a server on this host, which can do things to one answer. */
export interface AnswerWire {
  readonly url: string;
  /** Done to the next bytes that come back, once. */
  fault: AnswerFault | undefined;
  /** Length of the last answer that was let through, in bytes. */
  readonly answerBytes: number;
}

export async function answerWire(target: string): Promise<AnswerWire> {
  const sockets = new Set<Socket>();
  let answerBytes = 0;
  const server = createServer((near) => {
    const far = connect(Number(new URL(target).port), '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    near.pipe(far);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    far.on('data', (bytes: Buffer) => {
      const { fault } = wire;
      wire.fault = undefined;
      if (fault === undefined) {
        answerBytes = bytes.length;
        near.write(bytes);
      } else if (fault.kind === 'reset') {
        near.write(bytes.subarray(0, fault.afterBytes), () => near.resetAndDestroy());
      } else if (fault.kind === 'drip') {
        drip(near, bytes);
      } else {
        near.write(bytes.subarray(0, -1));
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const wire: AnswerWire = {
    url: `http://127.0.0.1:${port}`,
    fault: undefined,
    get answerBytes() {
      return answerBytes;
    },
  };
  return wire;
}

/** Each byte in a packet of its own. */
function drip(socket: Socket, bytes: Buffer): void {
  socket.setNoDelay(true);
  let at = 0;
  const next = (): void => {
    if (at < bytes.length && !socket.destroyed) {
      socket.write(bytes.subarray(at, at + 1), () => setImmediate(next));
      at += 1;
    }
  };
  next();
}
