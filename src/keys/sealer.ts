/**
 * What a sealed thing is bound to: pairs that are authenticated, but not hidden. Keys and values are not empty and
 * hold no secret; whoever sees the sealed bytes reads them.
 */
export type SealContext = Readonly<Record<string, string>>;

/** Plaintext and sealed bytes are held whole in memory; more than this is refused both ways. */
export const sealedBytesMax = 64 * 1024 * 1024;

/**
 * Seals bytes at rest and opens them again.
 *
 * - What was sealed opens to the same bytes, with the same pairs of context, no more and no fewer.
 * - The same bytes sealed twice give different sealed bytes.
 * - `open` verifies the whole before it gives out a byte: any changed, missing or added bit is refused.
 * - The caller owns the buffer that `open` returns, and overwrites it after use.
 *
 * @throws SEALED_CONTEXT_MISMATCH sealed for another use
 * @throws SEALED_DAMAGED, SEALED_FORMAT_UNKNOWN, SEALED_TOO_LARGE
 * @throws KEY_NOT_TRUSTED sealed under a key that is not accepted here
 * @throws KEY_… what the keeper of the key answered; `retry` of its row says whether to try again
 */
export interface Sealer extends Opener {
  seal(bytes: Uint8Array, context: SealContext, signal: AbortSignal): Promise<Buffer>;
}

/** The half of a sealer that those need who only open. */
export interface Opener {
  open(sealed: Uint8Array, context: SealContext, signal: AbortSignal): Promise<Buffer>;
}
