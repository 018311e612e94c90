import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../base/secret.ts';
import { keysError } from './errors.ts';

/** What tells an operator's password from another: argon2id, RFC 9106. */
export interface PasswordVerifier {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export const saltLength = 16;
export const hashLength = 32;

/** RFC 9106, section 4, the second recommended choice, on one lane: 64 MiB and 0.2 s of one core. */
const cost = { memoryKib: 64 * 1024, passes: 3, lanes: 1 };

const charactersMin = 12;
const charactersMax = 1024;
const distinctMin = 6;
/** Words that say nothing of who chose them. */
const commonWords = [
  'password',
  'passphrase',
  'gatehouse',
  'changeme',
  'letmein',
  'qwerty',
  '123456',
  'abcdef',
];

const derive = promisify(argon2);

export async function newVerifier(password: Secret): Promise<PasswordVerifier> {
  const salt = randomBytes(saltLength);
  return { ...cost, salt, hash: await hashOf(password, { ...cost, salt }) };
}

export async function isPassword(password: Secret, verifier: PasswordVerifier): Promise<boolean> {
  return timingSafeEqual(await hashOf(password, verifier), verifier.hash);
}

/**
 * Refuses a password that is soon guessed. `names` are known to everybody, as the host's is.
 * @throws PASSWORD_WEAK
 */
export function requireStrong(password: Secret, names: readonly string[]): void {
  const text = password.revealText();
  const characters = Array.from(text);
  const lower = text.toLowerCase();
  const known = [
    ...commonWords,
    ...names.map((name) => name.toLowerCase()).filter((name) => name.length > 3),
  ];
  // What is left without the words that everybody tries first.
  const own = known.reduce((left, word) => left.replaceAll(word, ''), lower);
  if (characters.length < charactersMin || characters.length > charactersMax) {
    throw keysError('PASSWORD_WEAK', {
      problem: `it has not ${charactersMin} to ${charactersMax} characters`,
    });
  }
  if (new Set(characters).size < distinctMin) {
    throw keysError('PASSWORD_WEAK', { problem: `it has fewer than ${distinctMin} different characters` });
  }
  if (own.length < charactersMin / 2) {
    throw keysError('PASSWORD_WEAK', { problem: 'it is made of words that are tried first' });
  }
}

async function hashOf(
  password: Secret,
  { memoryKib, passes, lanes, salt }: Omit<PasswordVerifier, 'hash'>,
): Promise<Buffer> {
  return derive('argon2id', {
    message: password.revealBytes(),
    nonce: salt,
    memory: memoryKib,
    passes,
    parallelism: lanes,
    tagLength: hashLength,
  });
}
