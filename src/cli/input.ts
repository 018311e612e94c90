import { createReadStream } from 'node:fs';
import { agentError } from '../agent/errors.ts';
import { GatehouseError } from '../base/errors.ts';
import type { Invocation } from './command.ts';

/**
 * The bytes of a file, or of standard input where the name is `-`. They are the only copy: what was read piece by piece
 * is overwritten, for it may be a secret.
 * @throws INPUT_MISSING, INPUT_TOO_LARGE
 */
export async function inputBytes(
  file: string,
  bytesMax: number,
  { stdin }: Pick<Invocation, 'stdin'>,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    const stream: AsyncIterable<Buffer> = file === '-' ? stdin : createReadStream(file);
    for await (const piece of stream) {
      pieces.push(piece);
      length += piece.length;
      if (length > bytesMax) throw agentError('INPUT_TOO_LARGE', { file, bytesMax });
    }
    return Buffer.concat(pieces);
  } catch (error) {
    throw error instanceof GatehouseError ? error : agentError('INPUT_MISSING', { file }, error);
  } finally {
    for (const piece of pieces) piece.fill(0);
  }
}
