import { agentError } from '../errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of an AWS config or credentials file that is to be written again: what is no UTF-8 would not be the same then.
 * @throws AWS_FILE_NOT_TEXT
 */
export function awsFileText(bytes: Uint8Array, path: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw agentError('AWS_FILE_NOT_TEXT', { path });
  }
}
