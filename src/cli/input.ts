import { readFile } from 'node:fs/promises';
import { agentError } from '../agent/errors.ts';
import type { Invocation } from './command.ts';

/** The bytes of a file, or of standard input where the name is `-`. Throws INPUT_MISSING. */
export async function inputBytes(file: string, { stdin }: Pick<Invocation, 'stdin'>): Promise<Buffer> {
  if (file === '-') return Buffer.concat(await stdin.toArray());
  return readFile(file).catch((error: unknown) => {
    throw agentError('INPUT_MISSING', { file }, error);
  });
}
