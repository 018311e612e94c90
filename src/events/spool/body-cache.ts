import { holdBody, returnBody } from '../body-memory.ts';

/** Bodies that are kept in memory, and how large all of them may be together. */
export interface BodyCache {
  /** The body of a batch; whoever asked holds it as well. */
  get(id: number): Buffer | undefined;
  /** Keeps a body that was written, where there is room. */
  keep(id: number, body: Buffer): void;
  /**
   * Begins to read one that will be asked for next, where there is room. What fails is forgotten: whoever asks reads it
   * himself, and is told.
   */
  readAhead(id: number, bytes: number, read: () => Promise<Buffer>): void;
  /** Resolves once what was begun is there, or has failed. */
  settled(id: number): Promise<void> | undefined;
  forget(id: number): void;
  clear(): void;
}

export function bodyCache(bytesMax: number): BodyCache {
  const bodies = new Map<number, Buffer>();
  /** Being read: they hold their room. */
  const coming = new Map<number, Promise<void>>();
  const sizes = new Map<number, number>();
  let held = 0;

  function take(id: number, bytes: number): boolean {
    if (sizes.has(id) || held + bytes > bytesMax) return false;
    sizes.set(id, bytes);
    held += bytes;
    return true;
  }

  function forget(id: number): void {
    const body = bodies.get(id);
    bodies.delete(id);
    held -= sizes.get(id) ?? 0;
    sizes.delete(id);
    if (body !== undefined) returnBody(body);
  }

  async function fetch(id: number, read: () => Promise<Buffer>): Promise<void> {
    try {
      const body = await read();
      // Settled meanwhile, by somebody who did not need it.
      if (sizes.has(id)) bodies.set(id, body);
      else returnBody(body);
    } catch {
      forget(id);
    } finally {
      coming.delete(id);
    }
  }

  return {
    get(id) {
      const body = bodies.get(id);
      if (body !== undefined) holdBody(body);
      return body;
    },

    keep(id, body) {
      if (!take(id, body.length)) return;
      holdBody(body);
      bodies.set(id, body);
    },

    readAhead(id, bytes, read) {
      if (take(id, bytes)) coming.set(id, fetch(id, read));
    },

    settled: (id) => coming.get(id),
    forget,

    clear() {
      for (const id of sizes.keys()) forget(id);
    },
  };
}
