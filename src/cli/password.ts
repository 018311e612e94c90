import { join } from 'node:path';
import type { Passwords } from '../agent/master-key/operator.ts';
import { Secret } from '../base/secret.ts';
import { keysError } from '../keys/errors.ts';
import { readRegularFile } from '../system/files.ts';
import { StopRequested } from '../system/signals.ts';
import type { Invocation } from './command.ts';

/** Where a password comes from; without either it is asked for on the terminal. */
export interface PasswordPlace {
  readonly file?: string | undefined;
  /** Name of a systemd credential of this process. */
  readonly credential?: string | undefined;
  /** The error where there is none: its remedy names the flag. PASSWORD_MISSING where not given. */
  readonly absent?: AbsentPassword;
}

type AbsentPassword = 'PASSWORD_MISSING' | 'NEW_PASSWORD_MISSING';

const bytesMax = 4096;

/** The passwords of a command, each read when it is needed. */
export function passwordsOf(
  places: { readonly current: PasswordPlace; readonly next: PasswordPlace },
  invocation: Invocation,
): Passwords {
  return {
    current: () => passwordFrom(places.current, invocation, ['Password of the master key: ']),
    next: () => passwordFrom(places.next, invocation, ['New password: ', 'Once more: ']),
  };
}

/**
 * One password: the line in a file, or typed once for each prompt.
 * @throws PASSWORD_MISSING or what `absent` says, PASSWORDS_DIFFER, FILE_…, StopRequested at Ctrl-C
 */
async function passwordFrom(
  { file, credential, absent = 'PASSWORD_MISSING' }: PasswordPlace,
  invocation: Invocation,
  prompts: readonly string[],
): Promise<Secret> {
  if (file !== undefined) return lineOf(file);
  if (credential !== undefined) {
    const folder = invocation.env.CREDENTIALS_DIRECTORY;
    if (folder === undefined || /[/\0]/u.test(credential)) throw keysError(absent, { credential });
    return lineOf(join(folder, credential));
  }
  const typed: Secret[] = [];
  for (const prompt of prompts) typed.push(await typedPassword(prompt, invocation, absent));
  const [first, ...again] = typed;
  if (first === undefined) throw new TypeError('a password without a prompt');
  const isSame = again.every((each) => each.equals(first));
  for (const each of again) each.dispose();
  if (!isSame) throw keysError('PASSWORDS_DIFFER');
  return first;
}

/** The file without the line end that an editor leaves. */
async function lineOf(file: string): Promise<Secret> {
  const bytes = await readRegularFile(file, { bytesMax });
  const end = bytes.at(-1) === 0x0a ? bytes.length - 1 : bytes.length;
  const secret = Secret.ofBytes(bytes.subarray(0, end));
  bytes.fill(0);
  return secret;
}

const key = {
  interrupt: 3,
  end: 4,
  backspace: 8,
  lineFeed: 10,
  carriageReturn: 13,
  clearLine: 21,
  delete: 127,
};

/** Reads one line of the terminal without showing it. The prompt goes to stderr: stdout is for data. */
async function typedPassword(
  prompt: string,
  { stdin, stderr }: Invocation,
  absent: AbsentPassword,
): Promise<Secret> {
  if (!stdin.isTTY) throw keysError(absent);
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  const line = Buffer.alloc(bytesMax);
  let length = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      const take = (piece: Buffer): void => {
        for (const byte of piece) {
          if (byte === key.lineFeed || byte === key.carriageReturn || byte === key.end) {
            stdin.off('data', take);
            piece.fill(0);
            resolve();
            return;
          }
          if (byte === key.interrupt) {
            stdin.off('data', take);
            // In raw mode the terminal sends no signal itself.
            reject(new StopRequested('SIGINT'));
            return;
          }
          if (byte === key.clearLine) length = 0;
          else if (byte === key.backspace || byte === key.delete) length = shorter(line, length);
          else if (length < bytesMax) line[length++] = byte;
        }
        piece.fill(0);
      };
      stdin.on('data', take);
      stdin.once('end', () => reject(keysError(absent)));
    });
    return Secret.ofBytes(line.subarray(0, length));
  } finally {
    line.fill(0);
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write('\n');
  }
}

/** The length without the last character, which in UTF-8 may be several bytes. */
function shorter(line: Buffer, length: number): number {
  let at = Math.max(0, length - 1);
  while (at > 0 && ((line[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}
