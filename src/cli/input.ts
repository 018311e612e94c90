import { open } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { agentError } from '../agent/errors.ts';
import { GatehouseError } from '../base/errors.ts';
import type { Invocation } from './command.ts';

/**
 * The bytes of a file, or of standard input where the name is `-`, piece by piece. Each piece is the reader's own, to
 * overwrite: it may be a secret. Rejects with the signal's reason when it aborts.
 * @throws INPUT_MISSING; a device is no input either, for it may have no end
 */
export async function* inputPieces(
  file: string,
  { stdin }: Pick<Invocation, 'stdin'>,
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<Buffer> {
  try {
    yield* addAbortSignal(signal, file === '-' ? stdin : await readable(file));
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof GatehouseError ? error : agentError('INPUT_MISSING', { file }, error);
  }
}

/** A file, or a pipe as `<(command)` gives one. */
async function readable(file: string): Promise<Readable> {
  const handle = await open(file);
  const status = await handle.stat();
  if (status.isFile() || status.isFIFO()) return handle.createReadStream();
  await handle.close();
  throw agentError('INPUT_MISSING', { file });
}

/**
 * All of it, as the only copy: what was read piece by piece is overwritten.
 * @throws INPUT_MISSING, INPUT_TOO_LARGE
 */
export async function inputBytes(
  file: string,
  bytesMax: number,
  invocation: Pick<Invocation, 'stdin'>,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of inputPieces(file, invocation)) {
      pieces.push(piece);
      length += piece.length;
      if (length > bytesMax) throw agentError('INPUT_TOO_LARGE', { file, bytesMax });
    }
    return Buffer.concat(pieces);
  } finally {
    for (const piece of pieces) piece.fill(0);
  }
}
