import { fileURLToPath } from 'node:url';
import { type Child, startNode } from './child.ts';

export interface Received {
  readonly atMs: number;
  /** 0 where they are not counted. */
  readonly events: number;
  readonly bytes: number;
  readonly calls: number;
}

/** CloudWatch Logs in another process, as fast as Node serves HTTP: see receiver-process.ts. */
export interface Receiver {
  readonly url: string;
  readonly pid: number;
  /** When the body came that ends in the last line, and what came until then. */
  last(): Promise<Received>;
}

/** A receiver that waits for one last line; `counts` makes it count events, which takes it time. */
export async function startReceiver(
  lastLine: string,
  opened: AsyncDisposableStack,
  counts = false,
): Promise<Receiver> {
  const program = fileURLToPath(new URL('./receiver-process.ts', import.meta.url));
  const child: Child = opened.use(startNode([program, lastLine, counts ? 'count' : '']));
  const { text } = await child.line('port ');
  return {
    url: `http://127.0.0.1:${text.slice('port '.length)}`,
    pid: child.pid,
    async last() {
      const { atMs, text: said } = await child.line('last ');
      return { atMs, ...(JSON.parse(said.slice('last '.length)) as Omit<Received, 'atMs'>) };
    },
  };
}
