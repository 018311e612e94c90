import { readFile } from 'node:fs/promises';
import { GatehouseError } from '../base/errors.ts';
import { identityError } from './errors.ts';

/**
 * The one line that a token file holds at this moment: orchestrators replace it, so it is read for each use.
 * @throws CREDENTIALS_TOKEN_UNUSABLE, and the signal's reason when it aborts.
 */
export async function tokenIn(file: string, signal: AbortSignal): Promise<string> {
  try {
    const token = (await readFile(file, { encoding: 'utf8', signal })).trimEnd();
    if (token === '') throw identityError('CREDENTIALS_TOKEN_UNUSABLE', { file, problem: 'is empty' });
    return oneLine(token, file);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof GatehouseError) throw error;
    throw identityError('CREDENTIALS_TOKEN_UNUSABLE', { file, problem: 'cannot be read' }, error);
  }
}

/** The same token. @throws CREDENTIALS_TOKEN_UNUSABLE when it cannot be sent; `file` is where it came from, if any. */
export function oneLine(token: string, file?: string): string {
  if (/[\r\n\0]/u.test(token)) {
    throw identityError('CREDENTIALS_TOKEN_UNUSABLE', { file, problem: 'holds a line break' });
  }
  // What Node refuses in a header.
  if (/[^\t\u0020-\u007e\u0080-\u00ff]/u.test(token)) {
    throw identityError('CREDENTIALS_TOKEN_UNUSABLE', {
      file,
      problem: 'holds a character that no header can',
    });
  }
  return token;
}
